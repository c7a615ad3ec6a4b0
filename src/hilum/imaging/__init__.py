"""Bytes to `Radiograph`: decoding, the input contract, preprocessing and fingerprints."""
