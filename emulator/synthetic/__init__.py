"""Hubs of millions of rows that are computed when they are asked for, at constant memory."""
