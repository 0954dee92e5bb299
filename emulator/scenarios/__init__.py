"""Scenarios: events in hubs over time, and the expected result."""
