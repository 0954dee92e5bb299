"""Dashboards as code: generates the files in `grafana/dashboards`."""
