"""What a script sees of its process, and what is restored afterwards."""
