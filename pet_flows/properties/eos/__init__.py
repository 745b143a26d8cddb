"""Energy against volume."""
