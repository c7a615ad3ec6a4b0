"""Can this data set be trusted? Measured without torch, before anything is trained."""
