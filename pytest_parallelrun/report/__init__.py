"""What the gate found, in the forms in which people and programs read it."""
