"""How symmetric any calculator really is, measured."""
