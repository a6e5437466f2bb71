"""The messages that are being written, in this process's memory: a reload finds what was entered."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from redrive.dashboard.backend import Backend
from redrive.dashboard.composition import Composition

IDLE_SECONDS = 12 * 3600.0  # then nobody comes back to it, and its file is in others' way
_MOST = 1_000  # the one that was not looked at for longest goes first


@dataclass
class _Kept:
    owner: Backend
    composition: Composition
    used: float
    forget_owner: Callable[[], None]


class Compositions:
    """Each belongs to the caller that began it, and goes when that caller logs out.

    Uploads stand in a folder that only this process's user can read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = TemporaryDirectory(prefix="redrive-compose-")
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def find(self, composition_id: str, backend: Backend) -> Composition | None:
        """The caller's own composition of this id."""
        kept = self._kept.get(composition_id)
        if kept is None or kept.owner is not backend:
            return None
        kept.used = self._clock()
        self._kept.move_to_end(composition_id)
        return kept.composition

    def begin(self, backend: Backend) -> Composition:
        """A new one, under an id that nobody can guess."""
        composition = Composition(str(uuid.uuid4()))
        forget_owner = backend.on_close(lambda: self._drop(composition.id))
        self._kept[composition.id] = _Kept(backend, composition, self._clock(), forget_owner)
        self.drop_old()
        return composition

    def drop_old(self) -> None:
        """Forgets those that nobody has looked at for long, and the longest unseen of too many."""
        long_ago = self._clock() - IDLE_SECONDS
        idle = [key for key, kept in self._kept.items() if kept.used < long_ago]
        surplus = list(self._kept)[: max(0, len(self._kept) - _MOST)]
        for composition_id in {*idle, *surplus}:
            self._drop(composition_id)

    def new_file(self) -> Path:
        """Where an upload can be written."""
        return Path(self._folder.name) / f"{uuid.uuid4()}.csv"

    @property
    def file_bytes(self) -> int:
        """What all uploads take up."""
        return sum(file.stat().st_size for file in Path(self._folder.name).iterdir())

    def close(self) -> None:
        """Forgets all, and takes the uploads away."""
        self._kept.clear()
        self._folder.cleanup()

    def _drop(self, composition_id: str) -> None:
        kept = self._kept.pop(composition_id, None)
        if kept is not None:
            kept.forget_owner()
