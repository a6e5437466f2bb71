"""Attempts that a wide fault wasted: arrivals that it refused until the page was held or the message was stopped.

The limit is LIMIT attempts for each fault and term. A term is the time in which one process sends for the page (or
sends the message) between two decisions of a person to continue. The failure counts are in the process's memory, so a
new process starts a new term. Such decisions also start a new term: for a page a release or a new token, for a message
a resume or a manual resend. A page that returns to a process keeps its count and its term.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import NamedTuple

from domain.batch_events import BatchStarted, DeliveriesDispatched
from domain.delivery import delivery_id
from domain.event import RecordedEvent
from domain.message_events import MessageResumed, MessageSubmitted, RetryRequested
from domain.page_events import PageReleased, PageTokenReplaced
from domain.retry import RetryTrigger
from server.sandbox.effect import ErrorAnswer, UserToken
from server.sandbox.graph_error import GraphError
from server.sandbox.preset import PRESETS
from server.sandbox.record import Arrival
from tests.faults.ledger import name_of
from tests.faults.script import CONTENT_FAULT, PAGE_FAULT, Step

LIMIT = 150


def error_of(preset: str) -> GraphError:
    """Return the error that a wide fault answers."""
    effect = PRESETS[preset].effect
    assert isinstance(effect, ErrorAnswer | UserToken)
    return effect.error()


class Term(NamedTuple):
    """Worker of a dispatch, with the number of decisions about its page and its message so far."""

    worker: str
    message_id: str
    of_page: int
    of_message: int


class Terms:
    """Finds the term of each delivery's last dispatch in the log."""

    def __init__(self, log: Sequence[RecordedEvent]) -> None:
        self._pages: dict[str, str] = {}  # by message
        self._workers: dict[tuple[str, int], str] = {}  # by batch
        self._decisions: Counter[str] = Counter()  # by page and by message
        self.by_delivery: dict[str, Term] = {}
        for recorded in log:
            self._take(recorded)

    def _take(self, recorded: RecordedEvent) -> None:
        match recorded.event:
            case MessageSubmitted(message_id=message_id, page_id=page_id):
                self._pages[message_id] = page_id
            case BatchStarted() as event:
                self._workers[event.message_id, event.batch_number] = event.worker
            case DeliveriesDispatched() as event:
                self._dispatch(event)
            case PageReleased(page_id=decided) | PageTokenReplaced(page_id=decided):
                self._decisions[decided] += 1
            case MessageResumed(message_id=decided) | RetryRequested(message_id=decided, trigger=RetryTrigger.MANUAL):
                self._decisions[decided] += 1

    def _dispatch(self, event: DeliveriesDispatched) -> None:
        message_id = event.message_id
        worker = self._workers[message_id, event.batch_number]
        of_page, of_message = self._decisions[self._pages[message_id]], self._decisions[message_id]
        for position in event.positions:
            name = delivery_id(message_id, event.batch_number, position)
            self.by_delivery[name] = Term(worker, message_id, of_page, of_message)


class Waste(NamedTuple):
    """Number of attempts that a fault wasted in each term."""

    fault: Step
    by_term: Mapping[Term, int]

    @property
    def most(self) -> int:
        """The largest number of a single term."""
        return max(self.by_term.values(), default=0)

    def violations(self) -> list[str]:
        """Describe the terms that wasted more attempts than allowed."""
        return [
            f"{self.fault.order} wasted {count} attempts of {term}, the limit is {LIMIT}"
            for term, count in self.by_term.items()
            if count > LIMIT
        ]


def wasted(script: Sequence[Step], log: Sequence[RecordedEvent], arrivals: Sequence[Arrival]) -> Iterator[Waste]:
    """Yield the waste of each wide fault in the script."""
    terms = Terms(log).by_delivery
    for step in script:
        if step.kind in (PAGE_FAULT, CONTENT_FAULT):
            refused = (terms[name_of(arrival)] for arrival in arrivals if _is_refused_by(step, arrival))
            yield Waste(step, Counter(_comparable(step, term) for term in refused))


def _comparable(step: Step, term: Term) -> Term:
    """Return the term without what does not count: messages for a page fault, the page for a content fault."""
    return term._replace(message_id="", of_message=0) if step.kind == PAGE_FAULT else term._replace(of_page=0)


def _is_refused_by(step: Step, arrival: Arrival) -> bool:
    if arrival.outcome != error_of(step.order["preset"]).outcome:
        return False
    if step.kind == PAGE_FAULT:
        return arrival.page == str(step.order["page"])
    return fnmatch(arrival.recipient, str(step.order["recipients"]))
