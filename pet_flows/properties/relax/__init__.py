"""Optimization of a geometry, of many at once."""
