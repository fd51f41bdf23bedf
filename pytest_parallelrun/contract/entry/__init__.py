"""The entry under test, copies of its sample, and what it answered."""
