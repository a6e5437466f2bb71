"""How many of a message's recipients failed alike, kept for as long as nothing befalls the message.

Counted anew for each page of a list, 100,000 failed recipients took most of its time.
"""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from domain.retry import Standing
from projections import standings
from projections.message_rows import MessageRow
from projections.sql import Sql
from projections.standings import Judged

MOST = 100  # messages that are kept: what was asked for longest ago goes first

_Place = tuple[str, int, int, int]


class FailureGroups:
    """Those of the log's own read models: what a message was in the past has the same sequence at other times."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Place, Mapping[Standing, int]] = OrderedDict()
        self._lock = Lock()

    def of(self, sql: Sql, message: MessageRow, judged: Judged) -> Mapping[Standing, int]:
        """See standings.groups; the message as the same snapshot has it: whatever changes them moves its sequence."""
        place = (message.message_id, message.sequence, judged.max_attempts, judged.token_generation)
        with self._lock:
            if place in self._known:
                self._known.move_to_end(place)
                return self._known[place]
        found = standings.groups(sql, judged)
        with self._lock:
            self._known[place] = found
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return found


def counted_anew(sql: Sql, _message: MessageRow, judged: Judged) -> Mapping[Standing, int]:
    """Whatever was known before."""
    return standings.groups(sql, judged)
