"""References read from where DFT results lie: one module for each kind of document or file."""
