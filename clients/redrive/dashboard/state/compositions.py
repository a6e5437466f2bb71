"""The compositions of all callers, in memory: a reload of the page finds the inputs again."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from redrive.dashboard.state.backend import Backend
from redrive.dashboard.state.composition import Composition

IDLE_SECONDS = 12 * 3600.0  # after this time the composition is dropped, to free its file
_MAX_KEPT = 1_000  # the least recently used is dropped first


@dataclass
class _OwnedComposition:
    owner: Backend
    composition: Composition
    used: float
    forget_owner: Callable[[], None]


class Compositions:
    """Each composition belongs to the caller that created it, and is dropped when that caller logs out.

    Uploads are in a folder that only the user of this process can read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = TemporaryDirectory(prefix="redrive-compose-")
        self._clock = clock
        self._owned: OrderedDict[str, _OwnedComposition] = OrderedDict()

    def find(self, composition_id: str, backend: Backend) -> Composition | None:
        """Return the caller's composition with this id; None if it belongs to another caller."""
        owned = self._owned.get(composition_id)
        if owned is None or owned.owner is not backend:
            return None
        owned.used = self._clock()
        self._owned.move_to_end(composition_id)
        return owned.composition

    def create(self, backend: Backend) -> Composition:
        """Create a composition with a random id."""
        composition = Composition(str(uuid.uuid4()))
        forget_owner = backend.on_close(lambda: self._drop(composition.id))
        self._owned[composition.id] = _OwnedComposition(backend, composition, self._clock(), forget_owner)
        self.drop_idle()
        return composition

    def drop_idle(self) -> None:
        """Drop compositions that are idle for 12 hours, and the least recently used of more than 1,000."""
        long_ago = self._clock() - IDLE_SECONDS
        idle = [key for key, owned in self._owned.items() if owned.used < long_ago]
        surplus = list(self._owned)[: max(0, len(self._owned) - _MAX_KEPT)]
        for composition_id in {*idle, *surplus}:
            self._drop(composition_id)

    def new_file(self) -> Path:
        """Return a path for an upload."""
        return Path(self._folder.name) / f"{uuid.uuid4()}.csv"

    @property
    def file_bytes(self) -> int:
        """The size of all uploads in bytes."""
        return sum(file.stat().st_size for file in Path(self._folder.name).iterdir())

    def close(self) -> None:
        """Drop all compositions, and delete the uploads."""
        self._owned.clear()
        self._folder.cleanup()

    def _drop(self, composition_id: str) -> None:
        owned = self._owned.pop(composition_id, None)
        if owned is not None:
            owned.forget_owner()
