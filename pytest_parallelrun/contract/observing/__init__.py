"""The entry under test, the sample, and what run() answers to it."""
