"""The settings of what is exposed, and to how many at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from exporter.settings.durations import MINUTE, PositiveDuration
from exporter.settings.values import FROZEN, Count, Names


class MetricsSettings(BaseModel):
    """Which families a scrape shows, and scrape limits."""

    model_config = FROZEN

    exclude: Names = Field(
        default=(), description="Families left out, by name or pattern (`*`, `?`, `[abc]`)."
    )
    exemplars: bool = Field(
        default=False,
        description="Whether OpenMetrics names the id of an instance that finished last.",
    )
    most_scrapes: Annotated[Count, Field(ge=1, le=10_000)] = Field(
        default=100, description="Scrapes answered at once; further ones get 503."
    )
    scrape_timeout: PositiveDuration = Field(
        default=MINUTE, description="How long one scrape may take, until its client has read it."
    )
