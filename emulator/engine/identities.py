"""The ids that a hub makes up."""

from random import Random
from uuid import UUID, uuid5

from emulator.engine.execution import Run
from emulator.version import ExtensionVersion


class Identities:
    """Makes ids, always the same ones from a seed."""

    def __init__(self, seed: int | str, version: ExtensionVersion) -> None:
        self._random = Random(f"identities/{seed}")
        self._version = version

    def instance_id(self) -> str:
        """Return an id for an instance that was not given one."""
        return self._guid().hex

    def execution_id(self, _instance_id: str) -> str:
        """Return an id for a run of an instance, in the form that the version gives it."""
        guid = self._guid()
        return guid.hex if self._version is ExtensionVersion.V2 else str(guid)

    def child_id(self, parent: Run, number: int, _name: str, *, plain: bool) -> str:
        """Return the id of a sub-orchestration without one: the same whenever that is replayed."""
        if plain:
            return uuid5(UUID(parent.execution_id), f"child {number}").hex
        return f"{parent.execution_id}:{number}"

    def request_id(self) -> str:
        """Return an id for a message to an entity."""
        return str(self._guid())

    def span_id(self) -> str | None:
        """Return the id of a trace's span, which only v2 gives to sub-orchestrations."""
        if self._version is not ExtensionVersion.V2:
            return None
        return f"{self._random.getrandbits(64):016x}"

    def _guid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)
