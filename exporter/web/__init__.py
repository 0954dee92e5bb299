"""Serving: /metrics, health, the status page, the JSON API."""
