"""A stand-in for Azure: Resource Manager, Resource Graph, tokens, apps."""
