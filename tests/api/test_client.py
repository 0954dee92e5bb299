"""The client over real sockets."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import anyio
import pytest
import trustme

from exporter.api.client import HubClient
from exporter.api.errors import (
    ApiError,
    ErrorKind,
    HubDenied,
    HubFailed,
    HubNotFound,
    HubThrottled,
    HubUnreachable,
    ListingTruncated,
    ProtocolError,
)
from exporter.api.keys import KeyFile
from exporter.api.query import InstanceQuery
from exporter.api.telemetry import LIST_INSTANCES
from tests.api.paged import all_rows, next_page
from tests.api.scripted import SILENCE, answer, client_of, connections, scripted

pytestmark = pytest.mark.anyio

HTML = "<!DOCTYPE html><html>The web app is stopped.</html>"


def json_row(
    instance_id: str, status: str = "Running", created: str = "2026-11-23T09:00:00Z"
) -> str:
    return (
        f'{{"name":"Order","instanceId":"{instance_id}","runtimeStatus":"{status}","input":null,'
        f'"customStatus":null,"output":null,"createdTime":"{created}",'
        f'"lastUpdatedTime":"{created}"}}'
    )


def json_rows(*ids: str) -> str:
    return f"[{','.join(json_row(instance_id) for instance_id in ids)}]"


async def all_ids(client: HubClient, query: InstanceQuery | None = None) -> list[str]:
    found = await all_rows(client, client.list_instances(query or InstanceQuery()))
    return [row.instance_id for row in found]


async def failure(client: HubClient, query: InstanceQuery | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await all_ids(client, query)
    return caught.value


class TestRequests:
    async def test_the_key_travels_in_the_header_only_and_the_hub_in_the_query(self) -> None:
        async with scripted(answer()) as server, client_of(server) as client:
            await all_ids(client, InstanceQuery(statuses=("Failed", "Completed")))
        (request,) = server.requests
        target = request.split(" ")[1]
        assert "x-functions-key: s3cret-key" in request.lower()
        assert "s3cret-key" not in target
        assert "taskHub=OrdersHub&connection=Storage" in target
        assert "runtimeStatus=Failed,Completed" in target
        assert "showInput=false" in target
        assert "createdTimeFrom=2000-01-01T00:00:00.000000Z" in target
        assert request.startswith("GET ")

    async def test_an_id_is_encoded_whole(self) -> None:
        async with scripted(answer(json_row("a b/ž"))) as server, client_of(server) as client:
            await client.read_instance("a b/ž")
        assert "/instances/a%20b%2F%C5%BE?showInput=false" in server.requests[0]

    async def test_an_id_with_a_plus_that_is_not_found_is_tried_encoded_twice(self) -> None:
        missing = answer("", "404 Not Found")
        async with (
            scripted(missing, answer(json_row("a+b"))) as server,
            client_of(server) as client,
        ):
            found = await client.read_instance("a+b")
        assert found is not None
        assert "/instances/a%2Bb?" in server.requests[0]
        assert "/instances/a%252Bb?" in server.requests[1]

    async def test_a_500_that_carries_a_status_is_a_status(self) -> None:
        body = answer(json_row("a", "Unknown"), "500 Internal Server Error")
        async with scripted(body) as server, client_of(server) as client:
            found = await client.read_instance("a")
        assert found is not None
        assert found.runtime_status == "Unknown"

    async def test_the_answer_about_another_instance_is_refused(self) -> None:
        async with scripted(answer(json_row("b"))) as server, client_of(server) as client:
            with pytest.raises(ProtocolError):
                await client.read_instance("a")

    async def test_entities_are_listed_by_class(self) -> None:
        body = '[{"entityId":{"name":"counter","key":"a"},"lastOperationTime":null,"state":null}]'
        async with scripted(answer(body)) as server, client_of(server) as client:
            page = await next_page(client, client.list_entities("Counter"))
        assert page is not None
        assert [row.entity_id.key for row in page.rows] == ["a"]
        assert "/entities/Counter?" in server.requests[0]


class TestPaging:
    async def test_tokens_go_back_verbatim_with_the_identical_query_until_there_is_none(
        self,
    ) -> None:
        async with (
            scripted(
                answer(json_rows("a"), x_ms_continuation_token="YQ== "),
                answer("[]", x_ms_continuation_token="YQ== 2"),
                answer(json_rows("b"), x_ms_continuation_token=""),
            ) as server,
            client_of(server) as client,
        ):
            assert await all_ids(client) == ["a", "b"]
        targets = {request.split(" ")[1] for request in server.requests}
        assert len(targets) == 1
        assert "x-ms-continuation-token: YQ==" in server.requests[1]
        assert "x-ms-continuation-token: YQ== 2" in server.requests[2]

    @pytest.mark.parametrize(
        "token", [b"a\tb", "\u00e9\u65e5".encode(), b"x" * 32_000, b'["1",null]']
    )
    async def test_a_token_goes_back_byte_for_byte(self, token: bytes) -> None:
        first = answer(json_rows("a")).replace(
            b"\r\n\r\n", b"\r\nx-ms-continuation-token: \t " + token + b" \r\n\r\n", 1
        )
        async with scripted(first, answer("[]")) as server, client_of(server) as client:
            await all_ids(client)
        sent = server.requests[1].encode("latin-1")
        assert b"\r\nx-ms-continuation-token: " + token + b"\r\n" in sent

    @pytest.mark.parametrize("token", ["bnVsbA==", "same"])
    async def test_the_token_of_null_and_a_repeated_one_end_the_list(self, token: str) -> None:
        async with (
            scripted(answer(json_rows("a"), x_ms_continuation_token=token)) as server,
            client_of(server) as client,
        ):
            assert (await all_ids(client))[0] == "a"
        assert len(server.requests) == (1 if token == "bnVsbA==" else 2)

    async def test_rows_that_moved_between_pages_are_seen_once(self) -> None:
        async with (
            scripted(
                answer(json_rows("c", "a"), x_ms_continuation_token="1"),
                answer(json_rows("a", "b"), x_ms_continuation_token="2"),
                answer(json_rows("b", "d", "c")),
            ) as server,
            client_of(server) as client,
        ):
            assert await all_ids(client) == ["c", "a", "b", "d"]

    async def test_a_list_without_end_is_truncated_and_said_to_be_so(self) -> None:
        endless = [answer("[]", x_ms_continuation_token=f"t{number}") for number in range(9)]
        async with scripted(*endless) as server, client_of(server, max_pages=8) as client:
            error = await failure(client)
            assert client.telemetry.errors[LIST_INSTANCES, "too_large"] == 1
        assert isinstance(error, ListingTruncated)
        assert len(server.requests) == 8

    async def test_a_listing_goes_on_after_an_error_with_the_same_token(self) -> None:
        async with (
            scripted(
                answer(json_rows("a"), x_ms_continuation_token="t"),
                answer("busy", "503 Service Unavailable"),
                answer(json_rows("b")),
            ) as server,
            client_of(server) as client,
        ):
            listing = client.list_instances(InstanceQuery())
            await next_page(client, listing)
            with pytest.raises(HubFailed):
                await next_page(client, listing)
            page = await next_page(client, listing)
        assert page is not None
        assert [row.instance_id for row in page.rows] == ["b"]
        assert server.requests[1] == server.requests[2]

    async def test_a_page_tells_the_server_s_clock(self) -> None:
        async with scripted(answer()) as server, client_of(server) as client:
            page = await next_page(client, client.list_instances(InstanceQuery()))
        assert page is not None
        assert page.date == 1795428000.0
        assert page.seconds > 0


class TestRowChecks:
    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            (InstanceQuery(statuses=("Failed",)), "runtimeStatus"),
            (InstanceQuery(created_from=1795428000.0), "createdTimeFrom"),
            (InstanceQuery(id_prefix="x-"), "instanceIdPrefix"),
        ],
    )
    async def test_a_filter_that_the_server_dropped_is_an_error(
        self, query: InstanceQuery, parameter: str
    ) -> None:
        async with scripted(answer(json_rows("a"))) as server, client_of(server) as client:
            error = await failure(client, query)
        assert error.kind is ErrorKind.PROTOCOL
        assert parameter in error.reason

    async def test_a_row_may_look_up_to_a_second_older_than_the_bound(self) -> None:
        nine = 1795424400.0
        async with scripted(answer(json_rows("a"))) as server, client_of(server) as client:
            assert await all_ids(client, InstanceQuery(created_from=nine + 0.999)) == ["a"]
            error = await failure(client, InstanceQuery(created_from=nine + 1.0))
        assert error.kind is ErrorKind.PROTOCOL

    async def test_an_unknown_created_time_is_no_dropped_filter(self) -> None:
        body = f"[{json_row('a', created='0001-01-01T00:00:00Z')}]"
        async with scripted(answer(body)) as server, client_of(server) as client:
            assert await all_ids(client, InstanceQuery(created_from=9e8)) == ["a"]

    async def test_odd_rows_are_tolerated(self) -> None:
        body = '[{"instanceId":"a"},{"instanceId":"b","runtimeStatus":8,"name":null,"new":[1]}]'
        async with scripted(answer(body)) as server, client_of(server) as client:
            assert await all_ids(client) == ["a", "b"]


# Deeper than any Python follows: 3.14 goes as deep as its stack of some megabytes allows.
DEEP = "[" * 450_000 + "]" * 450_000
CASES = [
    (answer("", "401 Unauthorized", WWW_Authenticate="Bearer"), HubDenied, "auth"),
    (answer("", "403 Forbidden"), HubDenied, "auth"),
    (answer(HTML, "403 Forbidden", content_type="text/html"), HubDenied, "stopped"),
    (answer(HTML, "404 Not Found", content_type="text/html"), HubNotFound, "not_found"),
    (answer("", "404 Not Found"), HubNotFound, "not_found"),
    (answer("", "429 Too Many Requests", X_FUNCTION_SCALEOUT="1"), HubThrottled, "throttled"),
    (answer('{"Message":"x"}', "500 Internal Server Error"), HubFailed, "server"),
    (answer("", "500 Internal Server Error"), HubFailed, "server"),
    (answer(HTML, "503 Service Unavailable", content_type="text/html"), HubFailed, "server"),
    (answer('{"Message":"x"}', "400 Bad Request"), ProtocolError, "protocol"),
    (answer("", "302 Found", Location="https://login.example/"), ProtocolError, "protocol"),
    (answer("", "202 Accepted"), ProtocolError, "protocol"),
    (answer(HTML, content_type="text/html"), ProtocolError, "protocol"),
    (answer('[{"instanceId":"a"'), ProtocolError, "protocol"),
    (answer('{"instanceId":"a"}'), ProtocolError, "protocol"),
    (answer('[{"name":"no id"}]'), ProtocolError, "protocol"),
    (answer("[7]"), ProtocolError, "protocol"),
    (answer("null"), ProtocolError, "protocol"),
    (answer(""), ProtocolError, "protocol"),
    (answer(b"[\xff\xfe]"), ProtocolError, "protocol"),
    (answer(f'[{{"instanceId":"a","output":{DEEP}}}]'), ProtocolError, "protocol"),
    (answer(f'{{"Message":{DEEP}}}', "500 Internal Server Error"), HubFailed, "server"),
    (answer("[]", length=99), ProtocolError, "protocol"),
    (b"SMTP 220 hello\r\nContent-Length: 1\r\n\r\n!", ProtocolError, "protocol"),
]


class TestErrors:
    @pytest.mark.parametrize(("script", "expected", "kind"), CASES)
    async def test_each_failure_lands_in_its_class(
        self, script: bytes, expected: type[ApiError], kind: str
    ) -> None:
        async with scripted(script) as server, client_of(server) as client:
            error = await failure(client)
            assert dict(client.telemetry.errors) == {(LIST_INSTANCES, kind): 1}
        assert isinstance(error, expected)
        assert error.kind.value == kind
        assert str(error).startswith("hub orders: listInstances: ")
        assert error.hint
        assert "s3cret-key" not in f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
        assert len(server.requests) == 1

    async def test_a_page_that_is_too_large_is_asked_for_again_down_to_a_single_row(self) -> None:
        body = answer(b"[" + b" " * (1 << 20) + b"]")
        async with scripted(body) as server, client_of(server) as client:
            error = await failure(client)
        assert error.kind is ErrorKind.TOO_LARGE
        sizes = [int(each.partition("top=")[2].partition("&")[0]) for each in server.requests]
        assert sizes == [50, 25, 12, 6, 3, 1]

    async def test_silence_is_a_timeout(self) -> None:
        async with scripted(SILENCE) as server, client_of(server, timeout=0.05) as client:
            error = await failure(client)
            assert client.telemetry.requests[LIST_INSTANCES, "none"] == 1
        assert error.kind is ErrorKind.TIMEOUT

    async def test_a_closed_port_is_a_refused_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with client_of(f"http://127.0.0.1:{port}/durabletask") as client:
            error = await failure(client)
        assert isinstance(error, HubUnreachable)
        assert error.kind is ErrorKind.CONNECT
        assert error.reason == "no connection: Connection refused"

    async def test_a_name_without_an_address_is_a_failed_connection(self) -> None:
        async with client_of("http://no-such-host.invalid/durabletask") as client:
            error = await failure(client)
        assert error.kind is ErrorKind.NAME

    async def test_a_proxy_that_refuses_is_its_own_kind(self) -> None:
        async with scripted(answer("", "407 Proxy Authentication Required")) as proxy:
            port = proxy.url.split(":")[2].split("/")[0]
            http = connections(proxy=f"http://user:pr0xy-pass@127.0.0.1:{port}")
            async with client_of("https://app.invalid/durabletask", http=http) as client:
                error = await failure(client)
        assert error.kind is ErrorKind.PROXY
        assert "pr0xy-pass" not in f"{error} {error!r} {error.__cause__!r}"

    async def test_only_the_status_of_an_error_body_is_told_never_its_text(self) -> None:
        body = '{"Message":"order of Jane Doe","ExceptionType":"System.InvalidOperationException"}'
        script = answer(body, "500 Internal Server Error")
        async with scripted(script) as server, client_of(server) as client:
            error = await failure(client)
        assert error.reason == "500, System.InvalidOperationException"


class TestTls:
    async def test_an_unknown_authority_is_refused_and_a_trusted_one_accepted(
        self, tmp_path: Path
    ) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        ca_file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        trusting = ssl.create_default_context(cafile=ca_file)
        async with scripted(answer(json_rows("a")), tls=context) as server:
            async with client_of(server) as client:
                error = await failure(client)
            async with client_of(server, http=connections(trusting)) as client:
                assert await all_ids(client) == ["a"]
        assert error.kind is ErrorKind.TLS
        assert "tls.ca_file" in error.hint
        assert len(server.requests) == 1


class TestRetries:
    async def test_a_passing_error_is_tried_again(self) -> None:
        busy = answer("", "503 Service Unavailable")
        async with (
            scripted(busy, busy, answer(json_rows("a"))) as server,
            client_of(server, retries=2) as client,
        ):
            assert await all_ids(client) == ["a"]
            assert client.telemetry.retries[LIST_INSTANCES] == 2
            assert client.telemetry.errors[LIST_INSTANCES, "server"] == 2
            assert client.telemetry.requests[LIST_INSTANCES, "503"] == 2

    async def test_retries_are_bounded(self) -> None:
        busy = answer("", "503 Service Unavailable")
        async with scripted(busy) as server, client_of(server, retries=2) as client:
            await failure(client)
        assert len(server.requests) == 3

    @pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
    async def test_what_somebody_must_mend_is_not_tried_again(self, status: str) -> None:
        async with scripted(answer("", status)) as server, client_of(server, retries=3) as client:
            await failure(client)
        assert len(server.requests) == 1

    async def test_a_wait_beyond_the_deadline_is_not_waited(self) -> None:
        busy = answer("", "429 Too Many Requests", Retry_After="3600")
        async with scripted(busy) as server, client_of(server, retries=3) as client:
            with anyio.fail_after(60):
                error = await failure(client)
        assert error.retry_after == 3600.0
        assert len(server.requests) == 1

    async def test_a_rotated_key_is_read_again_once(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("old-key\n")
        key = KeyFile(path)
        path.write_text("new-key\n")
        refused = answer("", "401 Unauthorized")
        async with (
            scripted(refused, answer(json_rows("a"))) as server,
            client_of(server, key=key) as client,
        ):
            assert await all_ids(client) == ["a"]
        assert "old-key" in server.requests[0]
        assert "new-key" in server.requests[1]

    async def test_a_refused_key_that_did_not_change_is_not_sent_again(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "key"
        path.write_text("old-key\n")
        refused = answer("", "401 Unauthorized")
        async with (
            scripted(refused) as server,
            client_of(server, key=KeyFile(path)) as client,
        ):
            await failure(client)
        assert len(server.requests) == 1
