"""Read models built anew beside the live ones, which stay as they are until the new ones replace them."""

from contextlib import AbstractContextManager
from typing import Protocol

from projections.sql import Sql


class ShadowInUseError(Exception):
    """Somebody else builds read models of this database anew."""


class Shadow(Protocol):
    """One set of read models, this process's alone while it is open. Every method blocks."""

    @property
    def own(self) -> str:
        """The schema of its tables, as SQL names it."""
        ...

    @property
    def live(self) -> str:
        """The schema of the live tables, as SQL names it."""
        ...

    def building(self) -> AbstractContextManager[Sql]:
        """A transaction that knows its own tables only."""
        ...

    def comparing(self) -> AbstractContextManager[Sql]:
        """A transaction that knows the live database too, whose log nobody else writes meanwhile."""
        ...

    def replace(self, sql: Sql, table: str) -> None:
        """Puts its own table in the live one's place, inside `comparing`; afterwards it has to be cleared."""
        ...

    def clear(self) -> None:
        """Forgets all that it holds."""
        ...

    def remove(self) -> None:
        """Leaves nothing behind, and closes it."""
        ...

    def close(self) -> None:
        """Lets it go; what it holds is there when it is opened again."""
        ...
