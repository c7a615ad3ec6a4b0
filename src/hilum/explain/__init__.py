"""Where a model looks, and whether that is where it should."""
