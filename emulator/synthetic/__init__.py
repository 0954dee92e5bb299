"""Hubs of millions of rows, computed on request in constant memory."""
