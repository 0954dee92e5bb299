"""A preview of the committed dashboards, drawn without Grafana from a real Prometheus."""
