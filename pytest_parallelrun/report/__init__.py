"""What the gate found, in formats for people and programs."""
