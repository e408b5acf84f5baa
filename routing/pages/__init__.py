"""The public pages of the catalogue: models to be looked through, one by one, and beside each other."""
