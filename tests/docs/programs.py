"""
Programs of others that pages call, and what they understand as far as pages need it.

A page that uses another program, subcommand or option adds it here, with a look into its manual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """
    What a program understands.

    `subcommands` are the words that may begin its arguments, none where it takes any. `options` are
    the long ones, None where they are not looked at. `stood_in` tells whether blocks that are run
    get a stand-in for it.
    """

    subcommands: frozenset[str] = frozenset()
    options: frozenset[str] | None = None
    stood_in: bool = True


def _program(subcommands: str, options: str | None = None, *, stood_in: bool = True) -> Program:
    return Program(
        frozenset(filter(None, (each.strip() for each in subcommands.split(",")))),
        None if options is None else frozenset(f"--{each}" for each in options.split()),
        stood_in,
    )


_ANY = _program("")
_REAL = _program("", stood_in=False)

_AZ = """name resource-group query output key-name key-type key-value slot vault-name settings id
secret function-app plan ids file value assignee role scope cluster-name location action target-slot
auto-swap-slot priority ip-address rule-name vnet-name subnet grafana enable-azure-monitor-metrics
azure-monitor-workspace-resource-id type filter start-time end-time metric interval aggregation
resource account-name resource-type only-show-errors subscription offset auth-mode queue-name
num-messages table-name num-results select"""

PROGRAMS: Mapping[str, Program] = {
    "az": _program(
        "functionapp keys list, functionapp keys set, functionapp show, functionapp list,"
        " functionapp restart, functionapp start, functionapp stop, functionapp config appsettings"
        " list, functionapp config appsettings set, functionapp config access-restriction add,"
        " functionapp config access-restriction show, functionapp deployment slot swap,"
        " functionapp deployment slot list, functionapp scale config show, keyvault secret show,"
        " keyvault secret set, login, account show, account set, aks update, aks get-credentials,"
        " grafana create, grafana data-source list, monitor account create, monitor metrics list,"
        " resource show, storage account show, storage metrics show, role assignment create,"
        " network private-endpoint-connection list, monitor activity-log list,"
        " functionapp function list,"
        " storage message peek, storage queue list, storage table list, storage entity query,"
        " functionapp log tail, webapp log tail",
        _AZ,
    ),
    "func": _program(
        "start, init, new, durable get-instances, durable get-history, durable raise-event,"
        " durable terminate, durable rewind, durable purge-history, durable start-new,"
        " azure functionapp publish"
    ),
    "kubectl": _program(
        "apply, get, describe, logs, exec, create secret generic, create namespace,"
        " create configmap, rollout restart, rollout status, rollout undo, scale, delete,"
        " port-forward, top pod, top pods, label, annotate, auth can-i, wait, patch, explain,"
        " config use-context, kustomize, debug, cp, edit, set image, set env, get events"
    ),
    "helm": _program(
        "install, upgrade, template, lint, show values, show chart, list, history, rollback,"
        " uninstall, dependency update, package, pull, repo add, repo update, get values, test"
    ),
    "docker": _program(
        "build, run, compose, pull, push, logs, exec, ps, inspect, image inspect, images, stop,"
        " rm, buildx build, buildx imagetools inspect, save, load, tag, volume create, stats,"
        " network create, secret create, kill, cp, history"
    ),
    "podman": _program(
        "build, run, compose, pull, logs, exec, ps, inspect, image inspect, images, stop, rm, save,"
        " load, kube play, stats, secret create, kill, generate systemd, healthcheck run"
    ),
    "buildah": _program("bud, build, from, run, commit, push, rm, images, unshare"),
    "make": _ANY,  # its targets are looked up in the Makefile
    "pip": _program("install, download, index versions, list"),
    "python3": _ANY,
    "python": _ANY,
    "git": _program("clone, tag, push, checkout, switch, log, diff, status, add, commit, describe"),
    "systemctl": _program("daemon-reload, enable, restart, reload, status, stop, start, edit"),
    "journalctl": _ANY,
    "amtool": _program("check-config, alert query, alert add, silence add, silence query, config"),
    "alloy": _program("fmt, run, validate"),
    "otelcol": _program("validate"),
    "promtool": _program("check config, check rules, check metrics, query instant, test rules"),
    "nginx": _ANY,
    "htpasswd": _ANY,
    "openssl": _ANY,
    "cosign": _program("verify, verify-attestation, sign"),
    "kill": _ANY,
    "pkill": _ANY,
    "sudo": _ANY,
    "npm": _program("install, ci"),
    "apt-get": _program("install, update, download"),
    "crontab": _ANY,
    "curl": _REAL,
    "jq": _REAL,
    "cat": _REAL,
    "cd": _REAL,
    "printf": _REAL,
    "echo": _REAL,
    "exit": _REAL,
    "sleep": _ANY,
    "true": _REAL,
    "test": _REAL,
    "mkdir": _REAL,
    "chmod": _REAL,
    "chown": _ANY,
    "mv": _REAL,
    "cp": _REAL,
    "rm": _REAL,
    "ls": _REAL,
    "grep": _REAL,
    "sort": _REAL,
    "head": _REAL,
    "tail": _REAL,
    "cut": _REAL,
    "awk": _REAL,
    "sed": _REAL,
    "tr": _REAL,
    "tee": _REAL,
    "wc": _REAL,
    "umask": _REAL,
    "set": _REAL,
    "base64": _REAL,
    "date": _REAL,
    "diff": _REAL,
    "df": _REAL,
    "read": _REAL,
    "getent": _ANY,
    "nslookup": _ANY,
    "unset": _REAL,
    "trap": _REAL,
    "install": _ANY,
    "useradd": _ANY,
    "ss": _ANY,
    "id": _REAL,
    "tar": _REAL,
    "python3.12": _ANY,
}
