"""The dashboards as code: what is committed in `grafana/dashboards` is written from here."""
