"""What a page's worker is to do: a batch that waits, with all that it takes to claim it."""

from typing import NamedTuple

from domain.batch import Batch
from domain.batch_decisions import Receipts
from projections.pages import PageRow
from server.crypto.vault import KeptSecrets
from server.sending.preconditions import State
from server.sending.rendered_messages import BatchPeople

Place = tuple[str, int]  # a batch: its message and its number


class PageSnapshot(NamedTuple):
    """A page's secrets and settings, and the seconds for which it is paused; `as_of` is when the reading began."""

    kept: KeptSecrets | None
    row: PageRow | None
    pause: float
    as_of: float


class Work(NamedTuple):
    """A batch that waits, with all that it takes to claim it.

    The content of `replaced_round` replaces all older ones of the message.
    """

    place: Place
    batch: Batch
    receipts: Receipts
    people: BatchPeople
    state: State
    page: PageSnapshot
