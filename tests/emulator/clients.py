"""What clients of the emulator are given, and how strictly they read."""

import json
from typing import Any


def local_binding(url: str) -> dict[str, object]:
    """Return what a worker gives to the client; it only looks at the last of these URLs."""
    instance = f"{url}/runtime/webhooks/durabletask/instances/INSTANCEID"
    operations = ("terminate", "rewind", "suspend", "resume")
    return {
        "taskHubName": "OrdersHub",
        "creationUrls": {"createNewInstancePostUri": url},
        "managementUrls": {
            "id": "INSTANCEID",
            "statusQueryGetUri": instance,
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}",
            "purgeHistoryDeleteUri": instance,
            "restartPostUri": f"{instance}/restart",
            **{f"{name}PostUri": f"{instance}/{name}?reason={{text}}" for name in operations},
        },
        "rpcBaseUrl": f"{url}/durabletask/",
    }


def strict(text: str) -> Any:  # noqa: ANN401 - JSON
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)
