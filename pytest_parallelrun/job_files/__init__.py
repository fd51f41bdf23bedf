"""Reads users' job files into settings and inputs."""
