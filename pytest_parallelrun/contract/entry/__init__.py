"""The entry under test, copies of its sample, and its answers."""
