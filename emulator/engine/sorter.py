"""How an entity keeps the messages of each sender in order: the part that its row shows."""

from emulator.json_text import JsonValue
from emulator.times import precise

_WINDOW_SECONDS = 30 * 60
# Older entries are thrown away no more often than this.
_CLEANING_SECONDS = 10


class MessageSorter:
    """Remembers the last message to and from each other instance, for half an hour."""

    def __init__(self) -> None:
        self._received: dict[str, tuple[float, str | None]] = {}
        self._sent: dict[str, float] = {}
        self._received_horizon: float | None = None
        self._sent_horizon: float | None = None

    def receive(self, sender: str, label: float, execution: str | None) -> None:
        """Note a message that came in."""
        horizon = _moved(self._received_horizon, label)
        if horizon != self._received_horizon:
            self._received_horizon = horizon
            self._received = {s: (t, e) for s, (t, e) in self._received.items() if t >= horizon}
        self._received[sender] = (label, execution)

    def send(self, target: str, now: float) -> tuple[float, float | None]:
        """Return the label of a message that goes out, and that of the one before it."""
        previous = self._sent.get(target)
        label = now if previous is None else max(now, previous + 1e-6)
        horizon = _moved(self._sent_horizon, label)
        if horizon != self._sent_horizon:
            self._sent_horizon = horizon
            self._sent = {t: at for t, at in self._sent.items() if at >= horizon}
        self._sent[target] = label
        return label, previous

    def shown(self) -> JsonValue:
        """Return what the row of the entity shows of it."""
        parts: dict[str, JsonValue] = {}
        if self._sent:
            parts["LastSentToInstance"] = {t: precise(at) for t, at in self._sent.items()}
        if self._received and self._received_horizon is not None:
            parts["ReceivedFromInstance"] = {
                sender: {"Last": precise(label)}
                | ({} if execution is None else {"ExecutionId": execution})
                for sender, (label, execution) in self._received.items()
            }
            parts["ReceiveHorizon"] = precise(self._received_horizon)
        if self._sent and self._sent_horizon is not None:
            parts["SendHorizon"] = precise(self._sent_horizon)
        return parts


def _moved(horizon: float | None, label: float) -> float:
    least = label - _WINDOW_SECONDS
    return least if horizon is None or least - horizon > _CLEANING_SECONDS else horizon
