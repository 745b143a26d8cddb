"""Free energies at several volumes: what heat does to a crystal."""
