"""
Settings: environment, file and secrets in; frozen `Settings` out.

Errors:

* SettingsError    change the configuration as its problems say, and start anew
"""

from exporter.settings.addresses import ListenAddress
from exporter.settings.exposition import MetricsSettings
from exporter.settings.hub import HubSettings
from exporter.settings.limits import LimitInForce, OrchestratorLimits
from exporter.settings.loading import load_settings
from exporter.settings.model import Settings
from exporter.settings.problems import Problem, SettingsError

__all__ = [
    "HubSettings",
    "LimitInForce",
    "ListenAddress",
    "MetricsSettings",
    "OrchestratorLimits",
    "Problem",
    "Settings",
    "SettingsError",
    "load_settings",
]
