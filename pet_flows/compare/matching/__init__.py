"""Which record and which reference are of one crystal."""
