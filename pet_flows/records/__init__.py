"""What a result is: schemas, keys, provenance."""
