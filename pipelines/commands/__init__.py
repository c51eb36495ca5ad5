"""The commands, a few to a file; each turns its options into one call."""
