"""Failures that are put into a mini-batch: what a script does with input that is broken."""
