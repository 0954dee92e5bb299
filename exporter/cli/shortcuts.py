"""Options that stand for settings, in every command that reads the configuration."""

SHORTCUTS = {
    "config_file": "YAML file with the configuration",
    "url": "URL of the hub: the app's root, or a path ending in /durabletask",
    "task_hub": "the task hub's own name, if it is not the app's default",
    "connection": "name of the app setting with the hub's connection",
    "key_file": "file with the key of the app",
    "name": "name of the hub in metrics",
    "listen_address": "host:port to listen on",
    "log_level": "debug, info, warning or error",
    "log_format": "auto (console on a terminal, else json), json or console",
}
