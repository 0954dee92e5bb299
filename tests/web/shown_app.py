"""The app, made of what tests have at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.applications import Starlette

from exporter.collector.snapshot import HubSnapshot
from exporter.settings import MetricsSettings
from exporter.web.app import create_app
from exporter.web.instance_pages import InstancePages
from exporter.web.scrapes import Scrapes


def app_of(
    snapshots: Callable[[], Sequence[HubSnapshot]],
    wall: Callable[[], float],
    instances: InstancePages | None = None,
    settings: Mapping[str, object] | None = None,
) -> Starlette:
    """Return the app that shows *snapshots*; *settings* are those of the group `metrics`."""
    shown = MetricsSettings.model_validate(settings or {})
    scrapes = Scrapes(snapshots, lambda: shown, wall=wall)
    return create_app(snapshots, scrapes, wall=wall, instances=instances)
