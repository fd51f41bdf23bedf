"""What a script imports, compared with the packages of its job's environment."""
