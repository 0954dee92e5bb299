"""Labels and annotations of an alert."""

from exporter.alerts.model import Alert, Board, Severity
from exporter.alerts.shared import CONFIGURED_SEVERITY, EXPORTER_URL, GRAFANA_URL

# `urlquery` writes a space as +, which is a space in a query alone.
_IN_PATH = '{{ $labels.task_hub | urlquery | reReplaceAll "\\\\+" "%20" }}'
_VARIABLES = {
    Board.FLEET: (),
    Board.HUB: ("task_hub",),
    Board.ORCHESTRATOR: ("task_hub", "orchestrator"),
    Board.ENTITIES: ("task_hub", "entity"),
    Board.EXPORTER: ("task_hub",),
}


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels that the rule adds."""
    return {"severity": severity_of(alert)}


def severity_of(alert: Alert) -> str:
    """Return the label `severity`: a value, or the template of one."""
    if alert.severity is not Severity.BY_LIMIT:
        return alert.severity.value
    return (
        f'{{{{ if eq $labels.source "configured" }}}}{CONFIGURED_SEVERITY}'
        f"{{{{ else }}}}{Severity.WARNING}{{{{ end }}}}"
    )


def annotations_of(alert: Alert) -> dict[str, str]:
    """Return the annotations, with places of parameters and templates of Prometheus."""
    page = f"{EXPORTER_URL}/hubs/{_IN_PATH}" if alert.of_hub else f"{EXPORTER_URL}/"
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{EXPORTER_URL}/runbooks/{alert.full_name}",
        "dashboard_url": _dashboard(alert),
        "page_url": page,
    }


def _dashboard(alert: Alert) -> str:
    url = f"{GRAFANA_URL}/d/durable-functions-{alert.board}"
    names = _VARIABLES[alert.board] if alert.of_hub else ()
    query = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in names)
    return f"{url}?{query}" if query else url
