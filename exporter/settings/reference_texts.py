"""What the reference page of the settings says beside its tables."""

INTRODUCTION = """\
# Settings

Every setting of the exporter, from the models in `exporter/settings/`. This page is generated:
`make docs` regenerates it.

A setting may be set in three places. The first of these that sets it wins:

1. the command line: `--set intervals.active=10s`, or an option of its own, as `--url`;
2. the environment: `DURABLE_EXPORTER_` and the setting in capitals, with `__` between levels
   (`DURABLE_EXPORTER_INTERVALS__ACTIVE`);
3. the YAML file that `--config-file` or `DURABLE_EXPORTER_CONFIG_FILE` names.

Groups are merged setting by setting, labels and headers name by name; lists are replaced as a
whole. An unknown setting is an error. All errors are reported at once, each with the place where it
was set.

**Hubs.** `url` and the settings next to it at the top level make one hub, called by `name`, else
its `task_hub`, else `default`. Any number of hubs may follow below `hubs`, each under its name:
`hubs.orders.url` in the file, `DURABLE_EXPORTER_HUBS__ORDERS__URL` in the environment. Both forms
together are all hubs. Every setting that does not identify a hub is allowed at the top level too,
as the default of all hubs: `key` and `key_file` are the default of those that have no `key`,
`key_file` or `keys_dir` of their own.

**Paths** in the file are relative to the file; elsewhere they are relative to where the exporter
was started.

**Task hubs** of Azure Storage have 3 to 45 letters and digits, a letter first. Other backends take
`-` and `_` too; where a name is none of Azure Storage, `check` and the log say so.

**Names in variables** are taken in lower case (`HUBS__ORDERS` is the hub `orders`), unless the
file has the same name in another case. `name` below a hub spells it in any other way.

**Values.** Durations are `30s`, `5m`, `1h30m`, `7d`, `500ms`, `0.5s`, or plain seconds. Lists are
separated by commas, or JSON; in the file they are YAML lists. Groups and mappings may be given as
JSON in one variable: `DURABLE_EXPORTER_LABELS='{"team": "payments"}'`.

**Empty variables** are not set. Only those that identify a hub and how to open it (`name`,
`url`, `task_hub`, `connection`, `key`, `key_file`) must not be empty: a secret that came out
empty should not go unnoticed.

**Keys** belong in files. `key_file` is read again when it changes and when the app refuses a key,
so a rotated key needs no restart. White space, quotes and a byte order mark around a key are not
part of it. A `key` or `key_file` of a hub comes before its file in
`keys_dir`. No key is ever logged or shown.

**Files are followed** while the exporter runs, all of them or, if anything is wrong, none: see
[reloading](web.md#reloading).

**Links** of the page lead from an instance to elsewhere: `links.monitor` is the URL behind the link
`monitor`. In it `{instance_id}`, `{task_hub}` (the configured name), `{hub_name}` (the task hub's
own, if it is configured) and `{orchestrator}` are filled in, URL-encoded; a brace that stands for
itself is written twice. Only `https://` and `http://` with the host written out are taken.

The variables that Kubernetes adds for a service called `durable-exporter`
(`DURABLE_EXPORTER_SERVICE_HOST` and the like) are no settings and are passed over.
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

Many hubs, from the environment; each finds its key in the folder, in a file called as the hub is:

```sh
DURABLE_EXPORTER_HUBS__ORDERS__URL=https://orders.azurewebsites.net
DURABLE_EXPORTER_HUBS__BILLING__URL=https://billing.azurewebsites.net
DURABLE_EXPORTER_HUBS__BILLING__NAME=billing-eu
DURABLE_EXPORTER_HUBS__BILLING__INTERVALS__ACTIVE=1m
DURABLE_EXPORTER_KEYS_DIR=/run/secrets
DURABLE_EXPORTER_LABELS='{"team": "payments"}'
DURABLE_EXPORTER_LIMITS__ORCHESTRATORS='{"ProcessOrder": {"idle": "2h"}}'
```

The same and more, from a file:

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
A limit of an orchestrator comes from the first that sets it: its exact name, its name in another
case, the patterns (`*`, `?`, `[abc]`; their case counts) in the order written, the default above.
The patterns of a hub come before those of the top level, and those of a stronger place before
those of a weaker one.
"""
