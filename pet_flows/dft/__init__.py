"""DFT reference data and their levels of theory."""
