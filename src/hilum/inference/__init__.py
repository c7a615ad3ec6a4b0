"""From bytes to predictions: no HTTP, no torch."""
