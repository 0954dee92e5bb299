"""The command `durable-exporter`."""
