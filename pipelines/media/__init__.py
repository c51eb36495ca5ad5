"""Exact media on local paths: it knows no storage, no flows and no styles."""
