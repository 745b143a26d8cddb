"""DFT that is calculated here and now, by an ASE calculator in the place of a potential."""
