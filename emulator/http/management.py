"""The URLs by which a new instance can be managed."""

from dataclasses import dataclass
from urllib.parse import quote_plus

from emulator.http.messages import Answer, Base, Request, json_answer
from emulator.json_text import JsonValue

# What a caller is told to wait before it asks for a new instance.
LOOK_AGAIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the URLs: `query` is what each of them needs to reach the hub with the right key."""

    origin: str
    query: str
    failures_as_500: bool = False

    def started(self, instance_id: str) -> Answer:
        """Answer that an instance was started."""
        payload = self.payload(instance_id)
        headers = {
            "location": str(payload["statusQueryGetUri"]),
            "retry-after": str(LOOK_AGAIN_SECONDS),
        }
        return json_answer(202, payload, headers=headers)

    def payload(self, instance_id: str) -> dict[str, JsonValue]:
        """Return all URLs of an instance (reference 5)."""
        instance = f"{self.origin}{Base.WEB_HOOK}/instances/{_encoded(instance_id)}"
        status = "&returnInternalServerErrorOnFailure=true" if self.failures_as_500 else ""
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{self.query}{status}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{self.query}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{self.query}",
            "purgeHistoryDeleteUri": f"{instance}?{self.query}",
            "restartPostUri": f"{instance}/restart?{self.query}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{self.query}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{self.query}",
        }


def links(request: Request, hub: str, connection: str, key: str | None) -> Links:
    """Return what makes the URLs for a request's caller."""
    parameters = request.parameters
    named = parameters.text("connection") or connection
    query = f"taskHub={_encoded(hub)}&connection={_encoded(named)}"
    return Links(
        request.origin,
        query if key is None else f"{query}&code={quote_plus(key)}",
        parameters.boolean("returnInternalServerErrorOnFailure", default=False),
    )


def _encoded(text: str) -> str:
    # As .NET encodes forms: it leaves these as they are, but not the tilde.
    encoded = quote_plus(text, safe="-_.!*()", errors="replace")
    return encoded.replace("~", "%7E")
