"""Compares the imports of a script with the packages of its job's environment."""
