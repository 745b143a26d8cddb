"""Records for people: one of them in words, many in a table, as pictures, as structure files."""
