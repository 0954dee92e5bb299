"""The rules of a ledger at the defaults of the settings, without limits."""

from __future__ import annotations

from dataclasses import replace

from exporter.collector.polling_inputs import rules_of
from exporter.settings import HUB_DEFAULTS, Buckets

DEFAULT_RULES = replace(rules_of(HUB_DEFAULTS, Buckets()), limits={})
