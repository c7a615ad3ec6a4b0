"""Released models as self-contained folders."""
