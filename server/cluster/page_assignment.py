"""Page assignment: pages with work are spread evenly over the live processes."""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from projections.batches import pages_with_work
from projections.sql import Sql
from server.cluster.page_leases import live_processes, owners


class PageShare(NamedTuple):
    """The pages that a process works on, and those that it releases to other processes."""

    work: Sequence[str]
    release: Sequence[str]


def fair_share(pages: Sequence[str], owned_by: Mapping[str, str], live: Set[str], worker: str) -> PageShare:
    """Return a worker's share of the pages with work.

    It keeps its own pages up to its share, fills the rest of the share with pages that no live process owns, and
    releases its own pages beyond the share.
    """
    share = -(-len(pages) // max(1, len(live | {worker})))
    mine = [page for page in pages if owned_by.get(page) == worker]
    free = [page for page in pages if owned_by.get(page) not in live | {worker}]
    return PageShare([*mine[:share], *free[: max(0, share - len(mine))]], mine[share:])


def share_of(sql: Sql, worker: str) -> PageShare:
    """Return a process's current share of the pages with work."""
    return fair_share(pages_with_work(sql), owners(sql), live_processes(sql), worker)
