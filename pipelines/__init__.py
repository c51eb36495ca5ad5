"""The product: exact media, manifests, flows and the command line around the style engine."""
