"""What a worker of the Functions host gives to the official clients."""


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
