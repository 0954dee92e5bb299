"""Azure's Resource Manager, and the identity that it is asked with."""
