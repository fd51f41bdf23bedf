"""Compares the rows that run() returned."""
