"""The messages that are being written, in this process's memory: a reload finds what was entered."""

import uuid
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

from redrive.dashboard.backend import Backend
from redrive.dashboard.composition import Composition

_MOST = 1_000  # the one that was not looked at for longest goes first


class Compositions:
    """Each belongs to the caller that began it. Uploads stand in a folder that only this process's user can read."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="redrive-compose-")
        self._kept: OrderedDict[str, tuple[Backend, Composition]] = OrderedDict()

    def find(self, composition_id: str, backend: Backend) -> Composition | None:
        """The caller's own composition of this id."""
        owner, composition = self._kept.get(composition_id, (None, None))
        if composition is None or owner is not backend:
            return None
        self._kept.move_to_end(composition_id)
        return composition

    def begin(self, backend: Backend) -> Composition:
        """A new one, under an id that nobody can guess."""
        composition = Composition(str(uuid.uuid4()))
        self._kept[composition.id] = (backend, composition)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return composition

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
