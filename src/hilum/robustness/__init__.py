"""How a trained model holds up: corrupted films, adversarial ones, other sites."""
