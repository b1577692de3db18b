"""The catalogue: one declaration for each op, a module for each family."""
