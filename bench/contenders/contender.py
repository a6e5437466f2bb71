"""What the bench asks of everybody who takes part."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, Protocol


class Prepared(NamedTuple):
    """A contender that stands ready."""

    send: Callable[[int, int], Awaitable[float]]  # to so many people from a first one on; the seconds it took
    workers: Sequence[int]  # processes that do the work
    stores: Sequence[int]  # processes that keep it


class Contender(Protocol):
    """Sends the job's message to people, and has a durable status for each before it says that it is done."""

    @property
    def name(self) -> str:
        """As the tables and the command line call it."""
        ...

    def missing(self) -> str:
        """What has to be installed before it can run; empty when nothing."""
        ...

    def prepared(self, folder: Path, graph_url: str) -> AbstractAsyncContextManager[Prepared]:
        """Everything started, with an empty store in the folder; stopped at the end."""
        ...
