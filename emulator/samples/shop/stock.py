"""The entities of the shop: counters, carts, and the stock of each item."""

from collections.abc import Sequence

from emulator.engine.entity_context import EntityContext
from emulator.engine.functions import Functions
from emulator.json_text import JsonValue
from emulator.samples.shop.arguments import number

functions = Functions()

_FULL_SHELF = 200


@functions.entity
def counter(context: EntityContext) -> None:
    """Count: `add`, `get`, `reset`."""
    state = context.get_state(lambda: 0)
    value = state if isinstance(state, int) else 0
    operand = context.get_input()
    match context.operation_name:
        case "add":
            context.set_state(value + (operand if isinstance(operand, int) else 1))
        case "get":
            context.set_result(value)
        case "reset":
            context.destruct_on_exit()
        case _:
            pass


@functions.entity
def cart(context: EntityContext) -> None:
    """Hold what a customer wants: `add` an item, `get` all; to `check_out` deletes the cart."""
    items = context.get_state(list)
    items = items if isinstance(items, Sequence) else []
    match context.operation_name:
        case "add":
            context.set_state([*items, context.get_input()])
        case "get":
            context.set_result(items)
        case "check_out":
            context.set_result(items)
            context.destruct_on_exit()
        case _:
            pass


@functions.entity
def inventory(context: EntityContext) -> None:
    """Keep the pieces of an item: `reserve` and `release` one, `get`; what is sold out comes in."""
    left = _left(context.get_state())
    match context.operation_name:
        case "reserve":
            left = (left or _FULL_SHELF) - 1
        case "release":
            left += 1
        case _:
            pass
    context.set_state({"left": left})
    context.set_result(left)


def _left(state: JsonValue) -> int:
    return number(state, "left", _FULL_SHELF)
