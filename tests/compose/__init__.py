"""The example of containers: the file itself, and what it mounts."""
