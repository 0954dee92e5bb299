"""
Settings: environment, file and secrets in; frozen `Settings` out.

Errors:

* SettingsError    change the configuration as its problems say, and start anew
"""

from exporter.settings.addresses import ListenAddress
from exporter.settings.hub import HubSettings
from exporter.settings.limits import LimitInForce, OrchestratorLimits
from exporter.settings.loading import load_settings
from exporter.settings.model import Settings
from exporter.settings.problems import Problem, SettingsError
from exporter.settings.shard import Shard
from exporter.settings.tls_policy import TlsPolicy, server_context
from exporter.settings.watched import fingerprint, watched_files
from exporter.settings.web_access import RateLimit
from exporter.settings.web_config import WebConfig

__all__ = [
    "HubSettings",
    "LimitInForce",
    "ListenAddress",
    "OrchestratorLimits",
    "Problem",
    "RateLimit",
    "Settings",
    "SettingsError",
    "Shard",
    "TlsPolicy",
    "WebConfig",
    "fingerprint",
    "load_settings",
    "server_context",
    "watched_files",
]
