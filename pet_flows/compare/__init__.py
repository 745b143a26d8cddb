"""Records next to references: matching, errors, tables."""
