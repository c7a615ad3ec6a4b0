"""hilum: chest X-rays to Normal, Pneumonia or Tuberculosis, measured before it is believed."""

from importlib.metadata import version

__version__ = version("hilum")
