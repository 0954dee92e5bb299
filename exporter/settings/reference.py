"""The reference page of the settings, generated from the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.settings.discovery import AzureDiscovery
from exporter.settings.durations import format_duration
from exporter.settings.groups import (
    Limits,
    OrchestratorLimits,
)
from exporter.settings.hub import IDENTITY, HubSettings
from exporter.settings.model import Settings
from exporter.settings.schema import FORMER_NAMES, SettingPath, is_group, values_of
from exporter.settings.sources import variable_for

INTRODUCTION = """\
# Settings

Every setting of the exporter. `make docs` generates this page from `exporter/settings/`.

Settings come from three places. The first that sets a value wins:

1. the command line: `--set intervals.active=10s`, or the setting's own option, such as `--url`;
2. the environment: `DURABLE_EXPORTER_` plus the setting in capitals, with `__` between levels
   (`DURABLE_EXPORTER_INTERVALS__ACTIVE`);
3. the YAML file named by `--config-file` or `DURABLE_EXPORTER_CONFIG_FILE`.

Groups are merged by setting; labels, links and headers by name; lists are replaced. An unknown
setting is an error. All errors are reported together, each with its location.

**Hubs.** At the top level, `url` and the other settings of [Which hub](#which-hub) define one hub,
named by `name`, else `task_hub`, else `default`. Define more under `hubs`, each by its name:
`hubs.orders.url` in the file, `DURABLE_EXPORTER_HUBS__ORDERS__URL` in the environment. Settings of
[How it is polled and shown](#how-it-is-polled-and-shown) are allowed at the top level, too, as
defaults for all hubs. A top-level `key` or `key_file` applies to hubs without their own `key`,
`key_file`, `keys_dir` or `resource_id`. Hubs can also be
[discovered in Azure](guides/azure-discovery.md) instead of listed.

**Relative paths** in the file start from its folder, others from the working directory.

**Task hub names** in Azure Storage have 3 to 45 letters and digits and start with a letter. Other
backends also allow `-` and `_`; `check` and the log warn about names invalid in Azure Storage.

**Names in variables** become lower case (`HUBS__ORDERS` is the hub `orders`), unless the
file has the same name in another case. A hub's `name` overrides both.

**Values.** Write durations as `30s`, `5m`, `1h30m`, `7d`, `500ms`, `0.5s`, or plain seconds. Lists
are comma-separated or JSON; in the file they are YAML lists. Groups and mappings may be JSON in
one variable: `DURABLE_EXPORTER_LABELS='{"team": "payments"}'`.

**Empty variables** are ignored. Those that identify a hub or hold its key (`name`, `url`,
`task_hub`, `connection`, `resource_id`, `key`, `key_file`) are errors instead, so that an empty
secret does not go unnoticed.

**Keys** belong in files. `key_file` is read again when it changes and when the app refuses a key,
so a rotated key needs no restart. Whitespace, quotes and a byte order mark around a key are
ignored. A hub's `key` or `key_file` overrides its file in `keys_dir`. No key is ever logged or
shown.

**Changed files** are applied while the exporter runs; if any has an error, none is applied. See
[reloading](web.md#reloading).

**Links** lead from an instance on the status page to other tools: `links.monitor` is the URL of the
link `monitor`. Its placeholders `{instance_id}`, `{task_hub}` (the hub's `name`), `{hub_name}`
(its `task_hub`, else its `name`) and `{orchestrator}` are filled in, URL-encoded; double a literal
brace. URLs must start with `https://` or `http://` and a literal host.

Variables that Kubernetes adds for a service called `durable-exporter`
(`DURABLE_EXPORTER_SERVICE_HOST` and the like) are ignored.
"""

EXAMPLES = """\
## Examples

One hub, from the environment:

```sh
DURABLE_EXPORTER_URL=https://orders.azurewebsites.net
DURABLE_EXPORTER_TASK_HUB=OrdersHub
DURABLE_EXPORTER_KEY_FILE=/run/secrets/orders
DURABLE_EXPORTER_LIMITS__PENDING=5m
```

Several hubs, from the environment; each key is in a file named after its hub:

```sh
DURABLE_EXPORTER_HUBS__ORDERS__URL=https://orders.azurewebsites.net
DURABLE_EXPORTER_HUBS__BILLING__URL=https://billing.azurewebsites.net
DURABLE_EXPORTER_HUBS__BILLING__NAME=billing-eu
DURABLE_EXPORTER_HUBS__BILLING__INTERVALS__ACTIVE=1m
DURABLE_EXPORTER_KEYS_DIR=/run/secrets
DURABLE_EXPORTER_LABELS='{"team": "payments"}'
DURABLE_EXPORTER_LIMITS__ORCHESTRATORS='{"ProcessOrder": {"idle": "2h"}}'
```

Several hubs, from a file:

```yaml
listen_address: ":10771"
log_level: warning
keys_dir: /run/secrets
labels:
  team: payments
links:
  monitor: https://dfm.example.com/{hub_name}/orchestrations/{instance_id}
  logs: https://logs.example.com/search?q={instance_id}&service={orchestrator}
intervals:
  census: 6h
limits:
  orchestrators:
    ProcessOrder:
      idle: 2h
    Nightly*:
      pending: none
hubs:
  orders:
    url: https://orders.azurewebsites.net
    orchestrators: [ProcessOrder, ShipOrder]
  billing-eu:
    url: https://billing.azurewebsites.net/runtime/webhooks/durabletask
    task_hub: BillingHub
    intervals:
      active: 1m
  local:
    url: http://localhost:7071
    labels:
      team: platform
```
"""

ORCHESTRATORS = """\
For each limit, the first match that sets it wins: the exact name, the name in another case, the
patterns (`*`, `?`, `[abc]`; case-sensitive) in the order written, the limit in `limits` itself.
A hub's patterns come before those of the top level; within each, the command line's come first,
then the environment's, then the file's.
"""

FOUND = """\
`discovery.azure.hubs.<name>` takes every setting of
[How it is polled and shown](#how-it-is-polled-and-shown), such as
`discovery.azure.hubs.orders-*.intervals.active`, except `headers`, `keys_dir`, `cloud` and
`allow_insecure`. Defaults for all hubs apply to discovered apps, too, except `key`, `key_file`,
`keys_dir` and `headers`, which may be secrets, and `allow_insecure`; `access` and `cloud` default
to those of `discovery.azure`. Matching ignores case. See
[discovery in Azure](guides/azure-discovery.md).
"""

_FORMER_NAMES = """\
## Former names

Former names work until the next minor version; `serve` and `check` warn about each. Using both
names in one place is an error. `check --print` prints the configuration with current names.
"""

_WORDS: Mapping[object, str] = {bool: "`true` or `false`", int: "whole number", str: "text"}


def page() -> str:
    """Return the page as Markdown."""
    former = [f"- `{former}` is now `{name}`" for former, name in FORMER_NAMES.items()]
    sections = [INTRODUCTION, EXAMPLES, *_of_the_exporter(), *_of_a_hub(), _FORMER_NAMES, *former]
    return "\n".join([*sections, ""])


def _of_the_exporter() -> Iterator[str]:
    own = {name: field for name, field in Settings.model_fields.items() if name != "hubs"}
    yield "## The exporter\n\nAllowed at the top level only.\n"
    yield _table((), own)
    yield from _groups(own)


def _of_a_hub() -> Iterator[str]:
    fields = HubSettings.model_fields
    yield "## Which hub\n\nAt the top level, these define one hub; see **Hubs** for keys.\n"
    yield _table((), {name: fields[name] for name in IDENTITY})
    yield "## How it is polled and shown\n\nAt the top level, these are defaults for all hubs.\n"
    yield _table((), {name: field for name, field in fields.items() if name not in IDENTITY})
    yield from _groups(fields)


def _groups(fields: Mapping[str, FieldInfo], above: SettingPath = ()) -> Iterator[str]:
    for name, field in fields.items():
        if is_group(field.annotation):
            below = field.annotation.model_fields
            if not all(is_group(each.annotation) for each in below.values()):
                yield _section((*above, name), field.annotation)
            if not above:
                yield from _groups(below, (name,))
        if field.annotation is AzureDiscovery:
            yield FOUND
        if field.annotation is Limits:
            yield _section((name, "orchestrators", "<name>"), OrchestratorLimits)
            yield ORCHESTRATORS


def _section(path: SettingPath, model: type[BaseModel]) -> str:
    summary = (model.__doc__ or "").strip()
    return f"### `{'.'.join(path)}`\n\n{summary}\n\n{_table(path, model.model_fields)}"


def _table(path: SettingPath, fields: dict[str, FieldInfo]) -> str:
    return "\n".join(
        [
            "| setting | environment variable | values | default | meaning |",
            "|---|---|---|---|---|",
            *_rows(path, fields),
            "",
        ]
    )


def _rows(path: SettingPath, fields: dict[str, FieldInfo]) -> Iterable[str]:
    for name, field in fields.items():
        if is_group(field.annotation):
            continue
        here = (*path, name)
        yield (
            f"| `{'.'.join(here)}` | `{variable_for(here)}` | {_values(field)} "
            f"| {_default(path, field)} | {field.description} |"
        )


def _values(field: FieldInfo) -> str:
    """Return the possible values of a field in words."""
    if (shown := values_of(field)) is not None:
        return shown
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    return _WORDS[field.annotation] + _range(field)


def _range(field: FieldInfo) -> str:
    least = [f"from {part.ge}" for part in field.metadata if isinstance(part, Ge)]
    most = [f"to {part.le}" for part in field.metadata if isinstance(part, Le)]
    return "".join(f" {bound}" for bound in least + most)


def _default(path: SettingPath, field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "see **Hubs**" if field is HubSettings.model_fields["name"] else "required"
    if path[1:2] == ("orchestrators",):
        return "inherited"
    if value is None:
        return "`none`" if path == ("limits",) else "none"
    if value in ({}, ()):
        return "empty"
    if (values_of(field) or "").startswith("share"):
        return f"`{100 * value:g}%`"
    return f"`{_spelled(value)}`"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_duration(value)
    if isinstance(value, tuple):
        return ",".join(map(_spelled, value))
    return str(value)
