"""Incidents played to a real Prometheus and Alertmanager with the files that are shipped."""
