"""The service: HTTP in front of the engine and the journal. No torch."""
