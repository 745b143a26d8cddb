"""A campaign as a folder of pages: collected here, drawn by the scripts in ``static``."""
