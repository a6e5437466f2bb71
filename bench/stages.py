"""Measure the cost of each stage of a delivery in microseconds per message: `python -m bench.stages`.

One process, SQLite, batches of 100, no network. tests/server/sending/test_work_counts.py counts the same work.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from domain import batch_decisions
from domain.batch import BATCH_SIZE, Batch, apply, fold
from domain.batch_events import BatchEvent, RecordedOutcome
from domain.batch_plan import BatchPlan
from domain.commands import Recipient
from domain.content import Content
from domain.message_events import MessageSubmitted
from domain.outcome import Sent
from domain.retry import OnUnconfirmed, RetryPolicy
from domain.streams import batch_stream, message_stream
from server.commands.send import new_batches
from server.crypto.key_ring import SealingKey
from server.crypto.vault import Vault
from server.eventstore.commit import Commit, StreamEvents
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.channel import OutgoingMessage, PageCredentials
from server.messenger.request import GraphRequests

TIME = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE, PAGE = "5d3c0d7e-52a4-4cf2-9c8f-0e3a6f2f8b11", "1001"
GRAPH_BATCH = 50
COMMITS_TOGETHER = 10
PLANNED_TOGETHER = 50  # batches per commit
Decide = Callable[[Batch], Sequence[BatchEvent]]
T = TypeVar("T")


class Run:
    """One run on an empty database; `seconds` maps each stage to its duration."""

    def __init__(self, store: SqliteStore, messages: int) -> None:
        self._store = store
        self._messages = messages
        self._batches: list[Batch] = []
        self.seconds: dict[str, float] = {}

    def measure(self) -> None:
        """Run all stages in order."""
        created = self._timed("plan", self._plan)
        self._timed("plan: log and read models", lambda: self._write_plan(created))
        self._batches = [fold([event]) for event in created]
        self._timed("render", self._render)
        lease = TIME + timedelta(minutes=10)
        self._stage(
            "claim",
            lambda batch: batch_decisions.start(batch, worker="w", generation=1, lease_expire_time=lease, now=TIME),
        )
        self._stage(
            "dispatch", lambda batch: batch_decisions.dispatch(batch, batch.pending, token_generation=1, now=TIME)
        )
        self._stage("record", lambda batch: batch_decisions.record(batch, _all_sent(batch), now=TIME))

    def _plan(self) -> Sequence[BatchEvent]:
        people = [Recipient(id=f"{7_000_000_000_000_000 + number}", name="Ada") for number in range(self._messages)]
        self._write_message()
        plan = BatchPlan(message_id=MESSAGE, page_id=PAGE, stage=0, round=0, first_batch=1, time=TIME)
        key = Vault(SealingKey(bytes(32))).new_message_key(MESSAGE)
        return [batch.created for batch in new_batches(plan, people, frozenset(), key, by_person=True)]

    def _write_message(self) -> None:
        submitted = MessageSubmitted(
            message_id=MESSAGE,
            owner="bench",
            page_id=PAGE,
            title="",
            sealed_content=b"",
            retry_policy=RetryPolicy(),
            on_unconfirmed=OnUnconfirmed.HOLD,
            stage=0,
            total=self._messages,
            batches=self._messages // BATCH_SIZE,
            duplicates_dropped=0,
            has_variables=False,
            request=None,
            time=TIME,
        )
        self._store.write_together([Commit([StreamEvents(message_stream(MESSAGE), 0, [submitted])])])

    def _render(self) -> None:
        requests = GraphRequests("https://graph.facebook.com/v25.0")
        credentials = PageCredentials(page_id=PAGE, access_token="EAAG")  # noqa: S106
        for batch in self._batches:
            outgoing = [
                OutgoingMessage(delivery_id=f"{MESSAGE}.1.{n}", recipient_id=one.id, content=Content(text="Hi Ada"))
                for n, one in enumerate(batch.recipients)
            ]
            for start in range(0, len(outgoing), GRAPH_BATCH):
                requests.batch(credentials, outgoing[start : start + GRAPH_BATCH])

    def _stage(self, name: str, decide: Decide) -> None:
        decided = self._timed(f"{name}: decide", lambda: [(batch, decide(batch)) for batch in self._batches])
        self._timed(f"{name}: log and read models", lambda: self._write(decided))
        self._batches = [apply(batch, events) for batch, events in decided]

    def _write_plan(self, created: Sequence[BatchEvent]) -> None:
        """Append the batches in commits of 50, as a Send does."""
        for start in range(0, len(created), PLANNED_TOGETHER):
            some = created[start : start + PLANNED_TOGETHER]
            appends = [StreamEvents(batch_stream(MESSAGE, 0, event.batch_number), 0, [event]) for event in some]
            self._store.write_together([Commit(appends)])

    def _write(self, decided: Sequence[tuple[Batch, Sequence[BatchEvent]]]) -> None:
        commits = [
            Commit([StreamEvents(batch_stream(MESSAGE, 0, events[0].batch_number), batch.version, events)])
            for batch, events in decided
        ]
        for start in range(0, len(commits), COMMITS_TOGETHER):
            self._store.write_together(commits[start : start + COMMITS_TOGETHER])

    def _timed(self, name: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = work()
        self.seconds[name] = time.perf_counter() - began
        return result


def _all_sent(batch: Batch) -> Sequence[RecordedOutcome]:
    return [
        RecordedOutcome(position=position, outcome=Sent(f"m_{batch.number}.{position}"), time=TIME)
        for position in batch.sending
    ]


def measure(options: argparse.Namespace) -> None:
    """Run the stages several times, and print median and minimum."""
    runs = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder, closing(SqliteStore(Path(folder) / "redrive.db")) as store:
            runs.append(Run(store, options.messages))
            runs[-1].measure()
    print(f"{'stage':30} {'median':>8} {'lowest':>8}   microseconds a message")  # noqa: T201
    for stage in runs[0].seconds:
        micros = [run.seconds[stage] / options.messages * 1e6 for run in runs]
        print(f"{stage:30} {statistics.median(micros):8.2f} {min(micros):8.2f}")  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="a multiple of 100")
    parser.add_argument("--runs", type=int, default=5)
    measure(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
