"""The ways that messages take from one sender to the entities that it talks to."""


class Queues:
    """Keeps the messages to each receiver in their order, however long each is under way."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def arrival(self, receiver: str, at: float) -> float:
        """Return when a message arrives that would come at a time: not before the one before it."""
        self._last[receiver] = max(at, self._last.get(receiver, at))
        return self._last[receiver]
