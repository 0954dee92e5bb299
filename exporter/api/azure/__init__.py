"""Azure: its Resource Manager, and the identity that authenticates there."""
