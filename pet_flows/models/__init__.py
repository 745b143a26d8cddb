"""PET checkpoints: names, files, hashes, loading."""
