"""What repeats: primitive cells, sites, operations, space groups, lattices."""
