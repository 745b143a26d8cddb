"""What was compared, for a terminal, for programs and as a picture."""
