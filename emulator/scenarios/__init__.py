"""Scenarios: what happens to hubs over time, and what has come of it in the end."""
