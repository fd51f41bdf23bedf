"""Comparing the rows that run() returned."""
