"""What all commands share: exit codes, and options that stand for settings."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code; each has one meaning per command."""

    OK = 0
    HUB_FAILED = 1
    CONFIGURATION = 2
    CANNOT_LISTEN = 3
    IN_FLIGHT = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


# Exit code, the commands that end with it, and its meaning there.
MEANINGS = (
    (0, "all", "success; serve, record, demo, emulator: also when stopped"),
    (0, "drain", "nothing is in flight"),
    (1, "check, collect, stuck, why, failures, drain, estimate", "a hub could not be read"),
    (1, "discover", "Azure could not be searched"),
    (1, "healthy", "the exporter does not answer"),
    (1, "emulator --rehearse", "the scenario did not meet its expectations"),
    (2, "all", "invalid configuration or command line; prints one line per problem"),
    (3, "serve, demo, emulator", "the address is in use, or not local"),
    (3, "drain", "instances are in flight"),
    (4, "why", "every hub answered, and none has the instance"),
    (4, "drain --must-exist", "every hub answered, and none knows the orchestrator"),
    (4, "rules --check", "a file uses a removed name"),
    (130, "others", "interrupted (Ctrl-C)"),
)


SHORTCUTS = {
    "config_file": "YAML file with the configuration",
    "url": "URL of the hub: the app's root, or a path ending in /durabletask",
    "task_hub": "the task hub's own name, if it is not the app's default",
    "connection": "name of the app setting with the hub's connection",
    "key_file": "file with the system key of the app",
    "name": "name of the hub in metrics",
    "listen_address": "host:port to listen on",
    "log_level": "debug, info, warning or error",
    "log_format": "auto (console on a terminal, else json), json or console",
}
