"""Interface of a contender."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, Protocol


class Prepared(NamedTuple):
    """A contender that is ready to send."""

    send: Callable[[int, int], Awaitable[float]]  # to `count` recipients from number `first` on; returns seconds
    workers: Sequence[int]  # process ids of the workers
    stores: Sequence[int]  # process ids of the store


class Contender(Protocol):
    """Sends the job's message to recipients, and returns when each has a durable status."""

    @property
    def name(self) -> str:
        """The name in the tables and on the command line."""
        ...

    def missing(self) -> str:
        """Return what must be installed first; empty when nothing."""
        ...

    def prepared(self, folder: Path, graph_url: str) -> AbstractAsyncContextManager[Prepared]:
        """Start the contender with an empty store in the folder; stop it at the end."""
        ...
