"""Heat conducted by phonons."""
