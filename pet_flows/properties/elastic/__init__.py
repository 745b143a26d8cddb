"""Stress against strain."""
