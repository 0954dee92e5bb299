"""Sample entities: counters, carts that come and go, and stock of which one item is locked."""

from collections.abc import Iterable
from random import Random

from exporter.emulator.json_text import JsonValue
from exporter.emulator.lives import Change
from exporter.emulator.orchestrations import LOCK_HOLDER, LOCKED_KEY
from exporter.emulator.storage.rows import Entity

_COUNTERS = ("orders", "payments", "refunds", "visits")
_CARTS = 48
_STOCK = 20
_MAXIMUM_BACKLOG = 40


class Counters:
    """Counts one of a few things at a time."""

    def __init__(self) -> None:
        self._values = dict.fromkeys(_COUNTERS, 0)

    def plan(self, random: Random, at: float, _number: int) -> Iterable[Change]:
        """Count one thing."""
        key = random.choice(_COUNTERS)
        self._values[key] += 1
        return [_change(at, "counter", key, self._values[key])]


class Carts:
    """Fills shopping carts, and deletes each one when it is bought."""

    def __init__(self) -> None:
        self._items: dict[str, list[str]] = {}

    def plan(self, random: Random, at: float, _number: int) -> Iterable[Change]:
        """Put something into a cart, or buy it."""
        key = f"customer-{random.randrange(_CARTS):03}"
        items = self._items.setdefault(key, [])
        if len(items) > random.randint(2, 8):
            del self._items[key]
            gone = Entity(class_name="cart", key=key, last_operation=at, exists=False)
            return [Change(at, gone)]
        items.append(f"sku-{1000 + random.randrange(_STOCK)}")
        return [_change(at, "cart", key, {"items": tuple(items)})]


class Inventory:
    """Sells from stock; one item is locked, and requests for it pile up."""

    def __init__(self) -> None:
        self._queue: list[JsonValue] = []

    def plan(self, random: Random, at: float, number: int) -> Iterable[Change]:
        """Sell one item, each in its turn."""
        key = f"sku-{1000 + number % _STOCK}"
        left = {"left": random.randrange(200)}
        return [
            self._locked(random, at) if key == LOCKED_KEY else _change(at, "inventory", key, left)
        ]

    def _locked(self, random: Random, at: float) -> Change:
        request: JsonValue = {
            "op": "reserve",
            "id": f"{random.getrandbits(128):032x}",
            "parent": f"payment-{random.randrange(1000):06}",
        }
        self._queue = [*self._queue, request][-_MAXIMUM_BACKLOG:]
        entity = Entity(
            class_name="inventory",
            key=LOCKED_KEY,
            last_operation=at,
            state={"left": 3},
            locked_by=LOCK_HOLDER,
            queue=tuple(self._queue),
        )
        return Change(at, entity)


def _change(at: float, class_name: str, key: str, state: JsonValue) -> Change:
    return Change(at, Entity(class_name=class_name, key=key, last_operation=at, state=state))
