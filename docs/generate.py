"""Generates the reference pages, the shipped rules, and values of all settings for tests."""

from pathlib import Path

from exporter.alerts import reference as alerts
from exporter.alerts.grafana import provisioning
from exporter.alerts.inhibition import inhibition
from exporter.alerts.prometheus import rules
from exporter.metrics import reference as metrics
from exporter.settings import reference as settings
from exporter.web import reference as api
from helm.settings_schema import default_values

ROOT = Path(__file__).parents[1]
ALERTMANAGER = "compose/alertmanager.yml"


def alertmanager() -> str:
    """Return Alertmanager's configuration of `compose.yaml`: its routes, and generated rules."""
    generated = inhibition()
    heading, _, _ = generated.partition("\n")
    routes, _, _ = (ROOT / ALERTMANAGER).read_text(encoding="utf-8").partition(heading)
    return routes + generated


PAGES = {
    "docs/alerts.md": alerts.page,
    "docs/alert-parameters.md": alerts.parameters_page,
    "docs/metrics.md": metrics.page,
    "docs/settings.md": settings.page,
    "tests/chart/values/default-settings.yaml": default_values,
    "docs/api.md": api.page,
    "docs/api-v1.schema.json": api.schema,
    "prometheus/durable-functions.rules.yaml": rules,
    "prometheus/alertmanager-inhibition.yaml": inhibition,
    "grafana/alerting/durable-functions.yaml": provisioning,
    ALERTMANAGER: alertmanager,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")
