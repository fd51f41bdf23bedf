"""Items that cannot be read, and what is missing beside them."""
