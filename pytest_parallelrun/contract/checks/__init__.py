"""One module for each check: the test function, its comparison and its finding."""
