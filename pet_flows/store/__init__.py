"""Where results live: MongoDB or the embedded store, one query language."""
