"""Alerting and recording rules from one table; pure."""
