"""Fitting networks to paintings: what to learn on, what is asked, and the run itself."""
