"""From files on disk to tensors: manifest, splits, pixel cache, augmentation, phantoms."""
