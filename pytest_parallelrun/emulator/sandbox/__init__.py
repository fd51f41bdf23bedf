"""What a script sees of the process that it runs in, and what is put back afterwards."""
