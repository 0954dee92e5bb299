"""
The Durable Functions HTTP API as a client, strictly read-only.

`HubClient` sends requests, `wire` models answers, `errors` failures.
"""
