"""Which pages a process works: they spread evenly over the processes that live."""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from projections.batches import pages_with_work
from projections.sql import Sql
from server.cluster.page_leases import living, owners


class PageShare(NamedTuple):
    """Pages with work: to work on, and to let go to others."""

    work: Sequence[str]
    give_up: Sequence[str]


def fair_share(pages: Sequence[str], owned_by: Mapping[str, str], alive: Set[str], worker: str) -> PageShare:
    """One's own pages up to one's share of all that have work, and as many of nobody's as the share leaves room for."""
    share = -(-len(pages) // max(1, len(alive | {worker})))
    mine = [page for page in pages if owned_by.get(page) == worker]
    free = [page for page in pages if owned_by.get(page) not in alive | {worker}]
    return PageShare([*mine[:share], *free[: max(0, share - len(mine))]], mine[share:])


def share_of(sql: Sql, worker: str) -> PageShare:
    """The share of a process now."""
    return fair_share(pages_with_work(sql), owners(sql), living(sql), worker)
