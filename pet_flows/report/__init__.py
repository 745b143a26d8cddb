"""Records for people: one of them as text, many in a table, as pictures, as structure files."""
