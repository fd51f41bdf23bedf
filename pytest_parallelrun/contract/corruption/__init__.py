"""Corrupted input: what a script does with an item, a cell or a model that it cannot read."""
