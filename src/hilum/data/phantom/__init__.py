"""The parts a phantom chest film is drawn from; `hilum.data.phantoms` is the door."""
