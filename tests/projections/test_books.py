"""The counts add up after every history of a message.

Checks invariant 1, invariant 2, invariant 3 and invariant 6.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from hypothesis import seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from domain.delivery import DeliveryStatus as S
from domain.retry import Standing
from projections import message_rows
from projections.batches import NEVER
from projections.outcomes import HOUR
from projections.sql import Sql
from server.commands.resend_planning import judged_by
from server.queries.failures import FailureGroups, uncached_counts
from tests.projections.book_callers import BookCallers
from tests.projections.book_keeping import BookKeeping
from tests.projections.driven_store import counts_of


class Books(BookCallers):
    """What is true after each step, whoever did what."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = FailureGroups()

    @invariant()
    def messages_add_up(self) -> None:
        for message_id, model in self.model.items():
            row = self.db.rows("SELECT * FROM messages WHERE message_id = :id", id=message_id)[0]
            counts = counts_of(row)
            recounted = self.db.counted(
                "SELECT state AS what, COUNT(*) AS how_many FROM recipients WHERE message_id = :id GROUP BY state",
                id=message_id,
            )
            assert row["total"] == sum(counts.values()) == len(model.attempts())
            assert counts == recounted == dict(model.counts())
            assert row["status"] == model.status()
            assert (row["round"], row["retry_count"]) == (model.round, model.retry_count)
            assert row["batches_total"] == len(model.batches)
            assert row["batches_completed"] == sum(batch.is_over for batch in model.batches.values())

    @invariant()
    def failures_add_up(self) -> None:
        for message_id, model in self.model.items():
            recounted = self.db.counted(
                "SELECT error_type AS what, COUNT(*) AS how_many FROM recipients"
                " WHERE message_id = :id AND error_type IS NOT NULL GROUP BY error_type",
                id=message_id,
            )
            assert self.db.failures(message_id) == recounted == dict(model.error_types())

    @invariant()
    def what_is_kept_of_failures_is_what_is_counted_anew(self) -> None:
        for message_id in self.model:
            kept, anew = self.db.ask(partial(self._failure_groups, message_id))
            assert kept == anew

    def _failure_groups(self, message_id: str, sql: Sql) -> Sequence[Mapping[Standing, int]]:
        row = message_rows.find(sql, message_id)
        assert row is not None
        judged = judged_by(sql, row)
        return self.groups.of(sql, row, judged), uncached_counts(sql, row, judged)

    @invariant()
    def outcomes_add_up(self) -> None:
        ending = "attempt_number, status, error_type, error_code, error_subcode"
        recounted = self.db.rows(
            f"""
            SELECT message_id, {ending.replace("error_type", "COALESCE(error_type, '') AS error_type")},
                   COALESCE(sent_time, failed_time) / {HOUR} * {HOUR} AS hour, COUNT(*) AS deliveries
            FROM deliveries WHERE status IN ('SENT', 'FAILED', 'UNCONFIRMED')
            GROUP BY message_id, hour, {ending} ORDER BY message_id, hour, {ending}
            """  # noqa: S608 - our own words
        )
        kept = self.db.rows(
            f"""
            SELECT message_id, {ending}, hour, deliveries FROM outcomes WHERE deliveries <> 0
            ORDER BY message_id, hour, {ending}
            """  # noqa: S608
        )
        assert kept == recounted
        of_pages = self.db.rows("SELECT SUM(deliveries) AS deliveries FROM page_outcomes")
        assert (of_pages[0]["deliveries"] or 0) == sum(row["deliveries"] for row in kept)

    @invariant()
    def batches_add_up(self) -> None:
        for message_id, model in self.model.items():
            rows = self.db.rows("SELECT * FROM batches WHERE message_id = :id ORDER BY number", id=message_id)
            assert [row["number"] for row in rows] == list(model.batches)
            for row in rows:
                if row["status"] in ("PENDING", "STARTED"):
                    waits = model.is_paused and row["status"] == "PENDING"
                    assert row["due_time"] == (NEVER if waits else 0)
                attempts = model.batches[row["number"]].attempts
                assert list(self.db.batch(message_id, row["number"]).statuses.values()) == [a.status for a in attempts]
                statuses = [attempt.reads_as for attempt in attempts]
                assert counts_of(row) == {status: statuses.count(status) for status in set(statuses)}
                kept = self.db.rows(
                    "SELECT status FROM deliveries WHERE message_id = :id AND batch_number = :n ORDER BY position",
                    id=message_id,
                    n=row["number"],
                )
                assert [delivery["status"] for delivery in kept] == statuses

    @invariant()
    def nobody_is_written_to_twice_at_once_or_too_often(self) -> None:
        """Invariant 3."""
        for message_id, model in self.model.items():
            rows = self.db.rows(
                """
                SELECT COUNT(*) AS attempts, MAX(attempt_number) AS last,
                       COUNT(CASE WHEN status IN ('PENDING', 'SENDING') THEN 1 END) AS open
                FROM deliveries WHERE message_id = :id GROUP BY recipient_id
                """,
                id=message_id,
            )
            for row in rows:
                assert row["open"] <= 1
                assert row["attempts"] == row["last"] <= model.max_attempts


SITUATIONS = {
    *("attempt 1", "attempt 2", "attempt 3", "an unconfirmed one is resent", "late evidence", "taken back", "let go"),
    *(f"a receipt of one that is {status}" for status in S),
    *("refused: AlreadySent", "refused: MESSAGE_STOPPED", "refused: MESSAGE_PAUSED", "refused: PAGE_LOST"),
    "a stream broke off",
    *("done: SENT", "done: PARTIALLY_SENT", "done: FAILED", "done: CANCELLED"),
    "one who may have been reached before is left out",
}
MOST_RUNS = 5


def test_the_books_balance_whatever_happens() -> None:
    """Runs until every situation was met: the rules could otherwise come to avoid what they are there for."""
    BookKeeping.seen.clear()
    for number in range(MOST_RUNS):
        machine = seed(number)(type("Books", (Books,), {}))
        run_state_machine_as_test(
            machine, settings=settings(database=None, deadline=None, max_examples=60, stateful_step_count=50)
        )
        if BookKeeping.seen.keys() >= SITUATIONS:
            break

    assert not SITUATIONS - BookKeeping.seen.keys()
