"""One YAML file, one frozen typed tree."""
