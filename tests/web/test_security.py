"""What the web configuration asks of a request, and of the answer."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.settings import RateLimit, WebConfig
from exporter.web.app import with_reload
from exporter.web.overload import TokenBucket
from exporter.web.security import Guard, credentials_in, in_origin_form
from tests.web.test_passwords import hashed

pytestmark = pytest.mark.anyio

ALICE = {"alice": hashed("wonderland")}
RIGHT = httpx.BasicAuth("alice", "wonderland")


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


async def answer(_request: Request) -> Response:
    return PlainTextResponse("answer", headers={"X-Frame-Options": "sameorigin"})


PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/-/reload")
APP = Starlette(routes=[Route(path, answer) for path in PATHS])


def client_of(guard: Guard) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://exporter")


def client(config: WebConfig, clock: Clock | None = None) -> httpx.AsyncClient:
    return client_of(Guard(APP, config, monotonic=clock or Clock()))


class TestUsers:
    async def test_without_users_everybody_may_ask(self) -> None:
        async with client(WebConfig()) as anybody:
            assert (await anybody.get("/metrics")).text == "answer"

    @pytest.mark.parametrize("path", ["/", "/metrics", "/-/reload", "/nothing"])
    async def test_nobody_without_a_password_learns_anything(self, path: str) -> None:
        async with client(WebConfig(users=ALICE)) as anybody:
            answer = await anybody.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert answer.text == "unauthorized\n"

    @pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/-/healthy/", "/-/ready/"])
    async def test_health_is_open_to_all(self, path: str) -> None:
        async with client(WebConfig(users=ALICE)) as anybody:
            assert (await anybody.get(path)).status_code == 200

    @pytest.mark.parametrize(
        "path", ["/-/healthy//", "//-/healthy", "/-/healthy/../../metrics", "/-/%68ealthy%2f"]
    )
    async def test_what_looks_like_health_is_not_open(self, path: str) -> None:
        async with client(WebConfig(users=ALICE)) as anybody:
            assert (await anybody.get(path)).status_code == 401

    async def test_the_right_password_opens_and_no_other(self) -> None:
        async with client(WebConfig(users=ALICE)) as alice:
            assert (await alice.get("/metrics", auth=RIGHT)).status_code == 200
            assert (await alice.get("/metrics", auth=("alice", "wrong"))).status_code == 401
            assert (await alice.get("/metrics", auth=("carol", "wonderland"))).status_code == 401

    async def test_another_configuration_holds_from_the_next_request(self) -> None:
        guard = Guard(APP, WebConfig(users=ALICE))
        async with client_of(guard) as alice:
            assert (await alice.get("/metrics", auth=RIGHT)).status_code == 200
            guard.follow(WebConfig(users={"alice": hashed("changed")}))
            assert (await alice.get("/metrics", auth=RIGHT)).status_code == 401
            guard.follow(WebConfig())
            assert (await alice.get("/metrics")).status_code == 200


def encoded(text: bytes) -> str:
    return b64encode(text).decode()


class TestCredentials:
    @given(st.binary(), st.binary().filter(lambda user: b":" not in user))
    def test_whatever_is_sent_is_taken_apart_at_the_first_colon(
        self, password: bytes, user: bytes
    ) -> None:
        header = f"Basic {encoded(user + b':' + password)}"
        assert credentials_in(header) == (user, password)

    @given(st.text(st.characters(max_codepoint=255)))
    def test_no_header_is_an_accident(self, header: str) -> None:
        found = credentials_in(header)
        assert found is None or header.strip().lower().startswith("basic")

    @pytest.mark.parametrize(
        "header", ["", "Basic", "Basic !!!", "Bearer YTpi", f"Basic {encoded(b'no colon')}"]
    )
    def test_what_is_none_is_none(self, header: str) -> None:
        assert credentials_in(header) is None


class TestRateLimit:
    LIMIT = WebConfig(rate_limit=RateLimit(interval=10.0, burst=2))

    async def test_a_burst_passes_and_then_one_in_each_interval(self) -> None:
        clock = Clock()
        async with client(self.LIMIT, clock) as anybody:
            codes = [(await anybody.get("/metrics")).status_code for _ in range(3)]
            clock.now += 9.9
            codes.append((await anybody.get("/metrics")).status_code)
            clock.now += 0.2
            codes += [(await anybody.get("/metrics")).status_code for _ in range(2)]
        assert codes == [200, 200, 429, 429, 200, 429]

    async def test_it_says_when_to_come_again(self) -> None:
        async with client(self.LIMIT) as anybody:
            answers = [await anybody.get("/metrics") for _ in range(3)]
        assert answers[2].headers["retry-after"] == "10"

    async def test_health_is_never_turned_away(self) -> None:
        async with client(self.LIMIT) as anybody:
            codes = {(await anybody.get("/-/healthy")).status_code for _ in range(20)}
        assert codes == {200}

    async def test_a_right_login_passes_it_also_the_first_time(self) -> None:
        async with client(WebConfig(users=ALICE, rate_limit=RateLimit(10.0, 1))) as anybody:
            codes = [(await anybody.get("/metrics")).status_code for _ in range(3)]
            codes += [(await anybody.get("/metrics", auth=RIGHT)).status_code for _ in range(3)]
        assert codes == [401, 429, 429, 200, 200, 200]

    async def test_no_wrong_password_passes_it(self) -> None:
        config = WebConfig(users=ALICE, rate_limit=RateLimit(10.0, 2))
        async with client(config) as anybody:
            codes = [
                (await anybody.get("/", auth=("alice", "guess"))).status_code for _ in range(3)
            ]
        assert codes == [401, 401, 429]

    @given(st.lists(st.floats(0, 50), max_size=60), st.integers(1, 5))
    def test_never_more_pass_than_burst_and_time_allow(
        self, pauses: list[float], burst: int
    ) -> None:
        clock = Clock()
        bucket = TokenBucket(RateLimit(10.0, burst), clock)
        passed = 0
        for pause in pauses:
            clock.now += pause
            passed += bucket.take()
        assert passed <= burst + sum(pauses) / 10.0 + 1e-6


class TestHeaders:
    async def test_every_answer_carries_them_in_place_of_the_apps_own(self) -> None:
        config = WebConfig(
            users=ALICE, headers={"X-Frame-Options": "deny", "X-XSS-Protection": "0"}
        )
        async with client(config) as anybody:
            for auth in (RIGHT, None):
                answer = await anybody.get("/metrics", auth=auth)
                assert answer.headers.get_list("x-frame-options") == ["deny"]
                assert answer.headers["x-xss-protection"] == "0"


class TestOversizedHeads:
    async def test_a_path_longer_than_any_is_refused_also_where_health_is(self) -> None:
        async with client(WebConfig()) as anybody:
            assert (await anybody.get("/metrics?" + "a" * 8000)).status_code == 200
            assert (await anybody.get("/metrics?" + "a" * 9000)).status_code == 414
            assert (await anybody.get("/-/healthy?" + "a" * 9000)).status_code == 414

    async def test_more_headers_than_anybody_sends_are_refused(self) -> None:
        async with client(WebConfig()) as anybody:
            assert (await anybody.get("/", headers={"x": "a" * 16_000})).status_code == 200
            answer = await anybody.get("/", headers={"x": "a" * 17_000})
        assert answer.status_code == 431
        assert answer.headers["connection"] == "close"


class TestTargets:
    @pytest.mark.parametrize("path", ["/metrics/", "/-/healthy/", "/-/ready/", "/-/reload/"])
    async def test_programs_may_add_a_slash(self, path: str) -> None:
        async with client(WebConfig()) as anybody:
            answer = await anybody.get(path)
        assert (answer.status_code, answer.text) == (200, "answer")

    @pytest.mark.parametrize(
        ("target", "path", "host"),
        [
            (b"http://other:80/metrics?a=b", "/metrics", b"other:80"),
            (b"HTTPS://other/a%2Fb", "/a/b", b"other"),
            (b"http://other", "/", b"other"),
            (b"http://other/metrics/", "/metrics", b"other"),
            (b"http://other%2F-%2Fhealthy/metrics", "/metrics", b"other%2F-%2Fhealthy"),
            (b"/http://other/", "/http://other/", b"exporter"),
            (b"ftp://other/", "ftp://other/", b"exporter"),
            (b"*", "*", b"exporter"),
        ],
    )
    def test_a_whole_url_is_its_path_at_its_host(
        self, target: bytes, path: str, host: bytes
    ) -> None:
        raw = target.partition(b"?")[0]
        scope = in_origin_form(
            {
                "raw_path": raw,
                "path": unquote(raw.decode()),
                "headers": [(b"accept", b"*/*"), (b"host", b"exporter")],
            }
        )
        assert scope["path"] == path
        assert [value for name, value in scope["headers"] if name == b"host"] == [host]


class TestAllowedHosts:
    @pytest.mark.parametrize("hosts", [(), ("exporter", "*.example.com")])
    @pytest.mark.parametrize(
        "host", ["exporter", "exporter:10771", "a.example.com", "evil.example", "127.0.0.1", ""]
    )
    async def test_any_may_be_named_unless_some_are_listed(
        self, hosts: tuple[str, ...], host: str
    ) -> None:
        is_allowed = not hosts or host.startswith("exporter") or host.endswith(".example.com")
        async with client_of(Guard(APP, WebConfig(), allowed_hosts=hosts)) as anybody:
            answer = await anybody.get("/metrics", headers={"host": host})
            assert answer.status_code == (200 if is_allowed else 400)
            probe = await anybody.get("/-/healthy", headers={"host": host})
            assert probe.status_code == 200

    async def test_another_list_holds_from_the_next_request(self) -> None:
        guard = Guard(APP, WebConfig())
        async with client_of(guard) as anybody:
            assert (await anybody.get("/metrics")).status_code == 200
            guard.follow(WebConfig(), ["elsewhere"])
            assert (await anybody.get("/metrics")).status_code == 400


class TestReloadFromElsewhere:
    @pytest.mark.parametrize(
        ("headers", "is_refused"),
        [
            ({}, False),
            ({"origin": "http://exporter"}, False),
            ({"sec-fetch-site": "same-origin", "origin": "http://exporter"}, False),
            ({"sec-fetch-site": "none"}, False),
            ({"origin": "http://evil.example"}, True),
            ({"origin": "null"}, True),
            ({"sec-fetch-site": "cross-site"}, True),
            ({"sec-fetch-site": "same-site", "origin": "http://exporter"}, True),
        ],
    )
    async def test_a_page_of_another_site_reloads_nothing(
        self, headers: dict[str, str], is_refused: bool
    ) -> None:
        reloads: list[None] = []

        async def reload() -> list[object]:
            reloads.append(None)
            return []

        app = with_reload(APP, reload, lambda: True)
        async with client_of(Guard(app, WebConfig())) as browser:
            answer = await browser.post("/-/reload", headers=headers)
        assert answer.status_code == (403 if is_refused else 200)
        assert bool(reloads) is not is_refused
