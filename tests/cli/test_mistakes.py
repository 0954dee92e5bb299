"""Common first mistakes, and the message for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator import Fault, FaultKind, running
from exporter.cli.check import check_hub
from exporter.settings import SettingsError, load_settings
from tests.cli.process import KEY, frozen_emulator

pytestmark = pytest.mark.anyio

PREFIX = "DURABLE_EXPORTER_"
URL = "https://orders.azurewebsites.net"
STORAGE = "DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=c2VjcmV0"


@dataclass(frozen=True, slots=True)
class Mistake:
    """Variables and files of a user, and the expected message."""

    what: str
    variables: Mapping[str, str]
    said: str
    files: Mapping[str, bytes] = field(default_factory=dict)


OF_SETTINGS = [
    Mistake("nothing at all", {}, "URL: is missing, so there is no hub: set it to the address"),
    Mistake("no https://", {"URL": "orders.azurewebsites.net"}, "does not start with https://"),
    Mistake("no host", {"URL": "https://"}, "has no host: write it as https://host"),
    Mistake("blank in the URL", {"URL": f"{URL} "}, "has blanks or control characters in it"),
    Mistake("key in the URL", {"URL": f"{URL}?code=abc"}, "cut it before the ? or #, and put the "),
    Mistake("password in the URL", {"URL": "https://me:pw@host"}, "has a user or password in it"),
    Mistake("http://", {"URL": "http://orders.example"}, "is not encrypted: use https://"),
    Mistake(
        "URL of a request",
        {"URL": f"{URL}/runtime/webhooks/durabletask/instances"},
        "has extra path after /durabletask: cut it there",
    ),
    Mistake("one underscore", {"URL": URL, "INTERVALS_ACTIVE": "30s"}, "did you mean DURABLE_"),
    Mistake(
        "wrong name", {"URL": URL, "TASKHUB": "OrdersHub"}, "did you mean DURABLE_EXPORTER_TASK"
    ),
    Mistake("hub of dots", {"URL": URL, "TASK_HUB": "orders.hub"}, "give 1 to 50 letters, digits"),
    Mistake("empty hub", {"URL": URL, "TASK_HUB": ""}, "TASK_HUB: is empty: give the task hub's"),
    Mistake("connection string", {"URL": URL, "CONNECTION": STORAGE}, "not the connection string"),
    Mistake("empty key", {"URL": URL, "KEY": ""}, "KEY: is empty: give the key, or leave the"),
    Mistake("key of two lines", {"URL": URL, "KEY": "ab\ncd"}, "copy it again, as one line"),
    Mistake("two keys", {"URL": URL, "KEY": "a", "KEY_FILE": "key"}, "remove one", {"key": b"a"}),
    Mistake(
        "no key file", {"URL": URL, "KEY_FILE": "none.key"}, "No such file or directory; looked"
    ),
    Mistake(
        "folder as key file", {"URL": URL, "KEY_FILE": "keys"}, "Is a directory", {"keys/a": b""}
    ),
    Mistake("empty key file", {"URL": URL, "KEY_FILE": "key"}, "content is empty", {"key": b"\n"}),
    Mistake(
        "key file of UTF-16 without its mark",
        {"URL": URL, "KEY_FILE": "key"},
        "looks like UTF-16 without its mark: save the key as UTF-8",
        {"key": "key".encode("utf-16-le")},
    ),
    Mistake(
        "key called as the hub but for the case",
        {"URL": URL, "NAME": "orders", "KEYS_DIR": "keys"},
        "has no file 'orders' but one called 'Orders': rename the file or the hub",
        {"keys/Orders": b"key"},
    ),
    Mistake("no folder of keys", {"URL": URL, "KEYS_DIR": "none"}, "names no folder: correct the"),
    Mistake("interval in words", {"URL": URL, "INTERVALS__ACTIVE": "30 seconds"}, "30s"),
    Mistake("hub without a URL", {"HUBS__ORDERS__TASK_HUB": "Orders"}, "HUBS__ORDERS__URL"),
    Mistake(
        "one hub twice",
        {"HUBS__A__URL": URL, "HUBS__B__URL": f"{URL}/"},
        "leads to the same task hub as the hub a: remove one of the two",
    ),
    Mistake("no such file", {"CONFIG_FILE": "none.yaml"}, "which cannot be read (No such file"),
    Mistake(
        "setting of all below one",
        {"HUBS__A__URL": URL, "HUBS__A__LOG_LEVEL": "info"},
        "is a setting of the whole exporter",
    ),
]

# What a request decides; `URL` is that of an app that runs. Further ones are added below.
OF_REQUESTS = [
    Mistake("wrong key", {"KEY": "wrong"}, "key: 401"),
    Mistake("no key", {}, "key: 401, and no key is configured"),
    Mistake("URL with /api", {"URL": "{url}/api", "KEY": KEY}, "listing: 404"),
    Mistake("URL of a function", {"URL": "{url}/api/Start", "KEY": KEY}, "listing: 404"),
    Mistake("wrong hub", {"KEY": KEY, "TASK_HUB": "OrderHub"}, "task hub OrderHub is empty"),
    Mistake("https on a port of http", {"URL": "{url_of_tls}", "KEY": KEY}, "TLS: TLS failed"),
    Mistake("nobody there", {"URL": "http://127.0.0.1:9"}, "connection: no connection"),
    Mistake(
        "host that is none",
        {"URL": "https://no-such-host.invalid"},
        "host name: no-such-host.invalid has no address",
    ),
]

# What comes in between, whatever was set.
IN_BETWEEN = [
    (FaultKind.FORBIDDEN, "key: 403, the key is of the wrong kind"),
    (FaultKind.STOPPED, "listing: 403, the app is stopped or disabled"),
    (FaultKind.REDIRECT, "listing: 302"),
    (FaultKind.HTML, "listing: the answer is not"),
    (FaultKind.DROPPED_FILTER, "listing: the answer has rows that the filter"),
]

# Not mistakes: what is set like that is taken as it is meant.
TAKEN = [
    Mistake("key in quotes", {"KEY": f'"{KEY}"'}, ""),
    Mistake("key file in quotes", {"KEY_FILE": "key"}, "", {"key": f"'{KEY}'\n".encode()}),
    Mistake("key file of Notepad", {"KEY_FILE": "key"}, "", {"key": KEY.encode("utf-16")}),
    Mistake("blanks around the key", {"KEY": f" {KEY}\n"}, ""),
    Mistake("slash at the end", {"URL": "{url}/", "KEY": KEY}, ""),
    Mistake("base of the API", {"URL": "{url}/runtime/webhooks/durabletask/", "KEY": KEY}, ""),
]


def title(value: object) -> str:
    return value.what if isinstance(value, Mistake) else str(value)


def written(mistake: Mistake, folder: Path, url: str = "") -> dict[str, str]:
    """Write the files, and return the variables."""
    for name, content in mistake.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    encrypted = url.replace("http://", "https://")
    variables = {"URL": "{url}", **mistake.variables} if url else mistake.variables
    return {
        PREFIX + name: text.replace("{url}", url).replace("{url_of_tls}", encrypted)
        for name, text in variables.items()
    }


@pytest.mark.parametrize("mistake", OF_SETTINGS, ids=title)
def test_a_mistake_in_settings_is_told_where_it_stands(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        load_settings(written(mistake, tmp_path))
    (problem,) = caught.value.problems
    assert mistake.said in str(problem)
    assert problem.location.startswith(PREFIX)


async def verdict(environ: Mapping[str, str]) -> str:
    """Return the result of `check` for the hub."""
    settings = load_settings({**environ, f"{PREFIX}RETRIES__MAX_RETRIES": "0"})
    checked = await check_hub(settings.hubs[0])
    if checked.failed is None:
        return checked.doubt
    assert checked.hint
    return f"{checked.failed}: {checked.reason}"


@pytest.mark.parametrize("mistake", OF_REQUESTS, ids=title)
async def test_a_mistake_that_a_request_shows_is_told_at_its_step(
    mistake: Mistake, tmp_path: Path
) -> None:
    async with running(frozen_emulator()) as url:
        assert mistake.said in await verdict(written(mistake, tmp_path, url))


@pytest.mark.parametrize(("fault", "said"), IN_BETWEEN, ids=title)
async def test_what_comes_in_between_is_told_apart(fault: FaultKind, said: str) -> None:
    emulator = frozen_emulator()
    emulator.hubs["ordershub"].faults.set(Fault(kind=fault))
    async with running(emulator) as url:
        assert said in await verdict({f"{PREFIX}URL": url, f"{PREFIX}KEY": KEY})


@pytest.mark.parametrize("mistake", TAKEN, ids=title)
async def test_what_is_as_good_as_right_is_taken(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(frozen_emulator()) as url:
        assert await verdict(written(mistake, tmp_path, url)) == ""
