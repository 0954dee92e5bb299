"""
Settings: environment, file and secrets in; frozen `Settings` out.

Errors:

* SettingsError    fix the configuration as its problems say, and restart
"""

from exporter.settings.addresses import ListenAddress
from exporter.settings.credentials import read_key
from exporter.settings.error_messages import Problem, SettingsError
from exporter.settings.groups import Buckets, Intervals, MetricsSettings
from exporter.settings.hub import HUB_DEFAULTS, HubSettings, suits_azure_storage
from exporter.settings.loading import (
    Configuration,
    exposed_files,
    fingerprint,
    load_configuration,
    load_listen_address,
    load_settings,
    tls_files,
    watched_files,
)
from exporter.settings.model import Settings, Shard
from exporter.settings.web_config import RateLimit, WebConfig
from exporter.settings.web_tls import TlsPolicy, server_context

__all__ = [
    "HUB_DEFAULTS",
    "Buckets",
    "Configuration",
    "HubSettings",
    "Intervals",
    "ListenAddress",
    "MetricsSettings",
    "Problem",
    "RateLimit",
    "Settings",
    "SettingsError",
    "Shard",
    "TlsPolicy",
    "WebConfig",
    "exposed_files",
    "fingerprint",
    "load_configuration",
    "load_listen_address",
    "load_settings",
    "read_key",
    "server_context",
    "suits_azure_storage",
    "tls_files",
    "watched_files",
]
