"""Sections of docs/results.md that have a record of their own in docs/measured, in the order of the page."""

from sections import commissioning, remedies

SECTIONS = (remedies.section, commissioning.section)
