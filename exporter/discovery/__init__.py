"""Hubs that nobody lists: the function apps of Azure that run Durable Functions."""
