"""Prometheus exporter for Azure Durable Functions."""

__version__ = "0.2.0"
