"""The stand-in's ASGI application, for all of Azure's hosts and apps."""

from urllib.parse import parse_qs, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.azure.cloud import LOGIN, RESOURCE_MANAGER, AzureCloud, Site
from emulator.azure.resource_manager import ROUTE, Asked, answer, error
from emulator.clock import RealClock
from emulator.emulator import HEADER
from emulator.http.connection import Delivery, read_body
from emulator.http.messages import Answer, json_answer

IDENTITY_PATH = "/msi/token"

_LARGEST_BODY = 1 << 20
_SIGN_IN = Answer(
    401,
    b"<html><body>You do not have permission to view this directory or page.</body></html>",
    {
        "content-type": "text/html",
        "www-authenticate": 'Bearer realm="emulated" authorization_uri="https://login.example"',
    },
)
_STOPPED = Answer(
    403,
    b"<html><title>Web App - Unavailable</title><body>Error 403 - This web app is stopped.</body>"
    b"</html>",
    {"content-type": "text/html"},
)


def create_azure_app(cloud: AzureCloud) -> ASGIApp:
    """Return the app that serves a cloud, by the host of a request."""
    clock = RealClock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "").partition(":")[0].lower()
        site = cloud.site_at(host)
        answered: Answer | Site
        if site is not None:
            if site.is_running and not site.has_login:
                await site.served(scope, receive, send)
                return
            answered = _SIGN_IN if site.is_running else _STOPPED
        elif host == LOGIN or scope["path"] == IDENTITY_PATH:
            answered = _token(cloud, scope, headers, await read_body(receive, _LARGEST_BODY) or b"")
        elif host == RESOURCE_MANAGER:
            body = await read_body(receive, _LARGEST_BODY) or b""
            path = unquote(scope["path"])
            query = scope["query_string"].decode("latin-1")
            answered = answer(cloud, Asked(scope["method"], path, query, headers, body))
        else:
            answered = Answer(404)
        if isinstance(answered, Site):
            if not answered.has_login:
                await answered.served(_handed_on(answered, scope), receive, send)
                return
            answered = _SIGN_IN
        await Delivery(scope, receive, send, clock=clock).send(answered, None)

    return app


def _handed_on(site: Site, scope: Scope) -> Scope:
    """Return the request as forwarded: with the app's path, and its key instead of a token."""
    raw = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    below = raw[raw.lower().index(f"{ROUTE}/") + len(ROUTE) :]
    key = site.emulator.keys.system or ""
    headers = [
        (name, value) for name, value in scope["headers"] if name not in (b"authorization", b"host")
    ]
    headers += [(b"host", site.host.encode()), (HEADER.encode(), key.encode())]
    return {**scope, "path": unquote(below), "raw_path": below.encode(), "headers": headers}


def _token(cloud: AzureCloud, scope: Scope, headers: dict[str, str], body: bytes) -> Answer:
    """Issue a token for a federated one, a secret, or a managed identity."""
    if cloud.refuses_tokens:
        refusal = {"error": "invalid_client", "error_description": "AADSTS70021: No matching."}
        return json_answer(401, dict(refusal))
    if scope["path"] == IDENTITY_PATH:
        if not headers.get("x-identity-header"):
            return error(400, "BadRequest")
        token, seconds = cloud.issue("managed identity")
        expires = str(int(RealClock().now()) + seconds)
        return json_answer(
            200,
            {"access_token": token, "expires_on": expires, "token_type": "Bearer", "resource": "-"},
        )
    if not scope["path"].endswith("/oauth2/v2.0/token"):
        return Answer(404)
    asked = parse_qs(body.decode("latin-1"))
    if "client_assertion" not in asked and "client_secret" not in asked:
        return json_answer(400, {"error": "invalid_request"})
    token, seconds = cloud.issue("workload identity")
    return json_answer(200, {"token_type": "Bearer", "expires_in": seconds, "access_token": token})
