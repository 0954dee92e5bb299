"""Writes the generated reference pages."""

from pathlib import Path

from exporter.metrics import reference as metrics
from exporter.settings import reference as settings
from exporter.web import reference as api

PAGES = {
    "metrics.md": metrics.page,
    "settings.md": settings.page,
    "api.md": api.page,
    "api-v1.schema.json": api.schema,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        Path(__file__).with_name(name).write_text(page(), encoding="utf-8")
