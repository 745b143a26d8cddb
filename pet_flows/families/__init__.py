"""Families of potentials besides metatrain's, each one file that declares itself."""
