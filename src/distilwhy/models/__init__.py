"""Language models by one string: naming, finding, precision and loading."""
