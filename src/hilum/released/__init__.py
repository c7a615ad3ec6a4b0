"""The model that ships with hilum, as a bundle."""
