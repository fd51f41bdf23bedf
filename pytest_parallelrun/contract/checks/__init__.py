"""One module a check, named as the check: the test function, what it compares, and its finding."""
