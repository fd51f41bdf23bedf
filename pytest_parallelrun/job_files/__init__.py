"""Job definitions that users have, read into settings and inputs."""
