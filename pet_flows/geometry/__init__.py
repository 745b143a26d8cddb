"""Where atoms are: neighbours, boxes, atoms on top of each other, connectivity."""
