"""Molecular dynamics, and what is measured on the way."""
