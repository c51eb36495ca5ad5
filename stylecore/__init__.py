"""The style engine: tensors in, tensors out. It never reads the environment, prints, or picks a device."""
