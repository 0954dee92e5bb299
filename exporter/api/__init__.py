"""
The Durable Functions HTTP API as a client, strictly read-only.

`HubClient` asks, `wire` says what comes back, `errors` what can go wrong.
"""
