"""Structures from files, folders, databases and prototypes, with their identifiers."""
