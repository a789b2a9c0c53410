"""What a trial does: PyTorch modules, the training loop, and the loop as a Ray Trainable."""
