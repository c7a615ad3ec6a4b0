"""Measures a trained model: what it tells apart, how far its probabilities hold, where it fails."""
