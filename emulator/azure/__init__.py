"""A stand-in for Azure around function apps: Resource Manager, Resource Graph, tokens."""
