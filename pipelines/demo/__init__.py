"""The demo's little film: drawn frame by frame, with sound, from nothing but code."""
