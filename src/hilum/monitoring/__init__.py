"""A model in use, watched: drift, performance, calibration, operation, alerts, retraining, drills."""
