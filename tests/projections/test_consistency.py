"""Read models stay consistent under any sequence of operations.

Checks invariant 1, invariant 2, invariant 3 and invariant 6.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from hypothesis import seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from domain.delivery import DeliveryStatus as S
from domain.retry import RetryState
from projections import message_rows
from projections.batches import NEVER_DUE
from projections.outcomes import HOUR
from projections.sql import Sql
from server.commands.resend_planning import retry_context
from server.queries.failures import RetryGroupCache, uncached_counts
from tests.projections.caller_rules import CallerRules
from tests.projections.consistency_machine import ConsistencyMachine
from tests.projections.driven_store import counts_of


class ReadModelConsistency(CallerRules):
    """The invariants that are checked after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = RetryGroupCache()

    @invariant()
    def message_counts_match(self) -> None:
        for message_id, model in self.model.items():
            row = self.db.rows("SELECT * FROM messages WHERE message_id = :id", id=message_id)[0]
            counts = counts_of(row)
            recounted = self.db.counted(
                "SELECT state AS counted, COUNT(*) AS row_count FROM recipients WHERE message_id = :id GROUP BY state",
                id=message_id,
            )
            assert row["total"] == sum(counts.values()) == len(model.attempts())
            assert counts == recounted == dict(model.counts())
            assert row["status"] == model.status()
            assert (row["round"], row["retry_count"]) == (model.round, model.retry_count)
            assert row["batches_total"] == len(model.batches)
            assert row["batches_completed"] == sum(batch.is_over for batch in model.batches.values())

    @invariant()
    def failure_counts_match(self) -> None:
        for message_id, model in self.model.items():
            recounted = self.db.counted(
                "SELECT error_type AS counted, COUNT(*) AS row_count FROM recipients"
                " WHERE message_id = :id AND error_type IS NOT NULL GROUP BY error_type",
                id=message_id,
            )
            assert self.db.failures(message_id) == recounted == dict(model.error_types())

    @invariant()
    def cached_failure_groups_match(self) -> None:
        for message_id in self.model:
            cached, uncached = self.db.ask(partial(self._failure_groups, message_id))
            assert cached == uncached

    def _failure_groups(self, message_id: str, sql: Sql) -> Sequence[Mapping[RetryState, int]]:
        row = message_rows.find(sql, message_id)
        assert row is not None
        judged = retry_context(sql, row)
        return self.groups.of(sql, row, judged), uncached_counts(sql, row, judged)

    @invariant()
    def outcome_counts_match(self) -> None:
        ending = "attempt_number, status, error_type, error_code, error_subcode"
        recounted = self.db.rows(
            f"""
            SELECT message_id, {ending.replace("error_type", "COALESCE(error_type, '') AS error_type")},
                   COALESCE(sent_time, failed_time) / {HOUR} * {HOUR} AS hour, COUNT(*) AS deliveries
            FROM deliveries WHERE status IN ('SENT', 'FAILED', 'UNCONFIRMED')
            GROUP BY message_id, hour, {ending} ORDER BY message_id, hour, {ending}
            """  # noqa: S608 - constants
        )
        stored = self.db.rows(
            f"""
            SELECT message_id, {ending}, hour, deliveries FROM outcomes WHERE deliveries <> 0
            ORDER BY message_id, hour, {ending}
            """  # noqa: S608
        )
        assert stored == recounted
        of_pages = self.db.rows("SELECT SUM(deliveries) AS deliveries FROM page_outcomes")
        assert (of_pages[0]["deliveries"] or 0) == sum(row["deliveries"] for row in stored)

    @invariant()
    def batch_counts_match(self) -> None:
        for message_id, model in self.model.items():
            rows = self.db.rows("SELECT * FROM batches WHERE message_id = :id ORDER BY number", id=message_id)
            assert [row["number"] for row in rows] == list(model.batches)
            for row in rows:
                if row["status"] in ("PENDING", "STARTED"):
                    is_waiting = model.is_paused and row["status"] == "PENDING"
                    assert row["due_time"] == (NEVER_DUE if is_waiting else 0)
                attempts = model.batches[row["number"]].attempts
                assert list(self.db.batch(message_id, row["number"]).statuses.values()) == [a.status for a in attempts]
                statuses = [attempt.effective_status for attempt in attempts]
                assert counts_of(row) == {status: statuses.count(status) for status in set(statuses)}
                deliveries = self.db.rows(
                    "SELECT status FROM deliveries WHERE message_id = :id AND batch_number = :n ORDER BY position",
                    id=message_id,
                    n=row["number"],
                )
                assert [delivery["status"] for delivery in deliveries] == statuses

    @invariant()
    def attempts_are_within_limits(self) -> None:
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
    *("attempt 1", "attempt 2", "attempt 3", "an unconfirmed recipient is resent"),
    *("a late outcome", "a delivery is returned", "a batch is released"),
    *(f"a receipt for a delivery that is {status}" for status in S),
    *("refused: AlreadySent", "refused: MESSAGE_STOPPED", "refused: MESSAGE_PAUSED", "refused: PAGE_LOST"),
    "a stream was abandoned",
    *("done: SENT", "done: PARTIALLY_SENT", "done: FAILED", "done: CANCELLED"),
    "a recipient is skipped for an earlier unconfirmed attempt",
}
MAX_RUNS = 5


def test_read_models_are_consistent_after_any_sequence_of_operations() -> None:
    """Run until every situation has occurred, so that the rules cannot avoid the cases that they are meant to test."""
    ConsistencyMachine.seen.clear()
    for number in range(MAX_RUNS):
        machine = seed(number)(type("ReadModels", (ReadModelConsistency,), {}))
        run_state_machine_as_test(
            machine, settings=settings(database=None, deadline=None, max_examples=60, stateful_step_count=50)
        )
        if ConsistencyMachine.seen.keys() >= SITUATIONS:
            break

    assert not SITUATIONS - ConsistencyMachine.seen.keys()
