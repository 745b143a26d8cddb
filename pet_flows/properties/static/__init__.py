"""Energy, forces and stress of structures as they are."""
