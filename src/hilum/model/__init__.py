"""The network: backbone, head, losses, closed-form Grad-CAM, checkpoints, scoring."""
