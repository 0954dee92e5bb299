"""The parts of `compose.yaml` as processes of this machine, from the same files."""
