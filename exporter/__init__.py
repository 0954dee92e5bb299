"""Prometheus exporter for Azure Durable Functions."""

__version__ = "0.1.0"
