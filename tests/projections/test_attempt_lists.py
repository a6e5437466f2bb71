"""Queries of a message's attempts, batches and retryable recipients."""

from typing import Any

from projections import batches, delivery_rows, retry_groups
from projections.delivery_rows import DeliveryFilter
from projections.retry_groups import RetryContext
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    FAILED_FOR_TOKEN,
    MESSAGE,
    SENT,
    batch_recipients,
    retry_requested,
)
from tests.projections.driven_store import DrivenStore

# Attempts and batches


def attempts(db: DrivenStore, *, after: tuple[int, int] = (0, -1), limit: int = 10, **wanted: Any) -> list[str]:
    found = db.ask(
        lambda sql: delivery_rows.list_attempts(
            sql, DeliveryFilter(message_id=MESSAGE, **wanted), after=after, limit=limit
        )
    )
    return [f"{row.recipient_id} {row.attempt_number} {row.status}" for row in found]


def test_every_attempt_is_listed_by_batch_and_position(db: DrivenStore) -> None:
    db.send(MESSAGE, {"bob": FAILED_FOR_GOOD, "ann": FAILED, "eve": SENT})
    db.write(
        db.of_message(db.message(), retry_requested()),
        *db.new_batches(MESSAGE, [batch_recipients("ann", attempt=2)], first=2, round=1),
    )

    assert attempts(db) == ["bob 1 FAILED", "ann 1 FAILED", "eve 1 SENT", "ann 2 PENDING"]
    assert attempts(db, limit=2) == ["bob 1 FAILED", "ann 1 FAILED"]
    assert attempts(db, after=(1, 1)) == ["eve 1 SENT", "ann 2 PENDING"]
    assert attempts(db, recipient_id="ann") == ["ann 1 FAILED", "ann 2 PENDING"]
    assert attempts(db, statuses=("SENT", "PENDING")) == ["eve 1 SENT", "ann 2 PENDING"]
    assert attempts(db, error_types=("INVALID_RECIPIENT",)) == ["bob 1 FAILED"]


def test_claimable_batches_of_a_page_are_in_planning_order(db: DrivenStore) -> None:
    for page_id in ("1001", "2002", "3003"):
        db.register_page(page_id)
    db.submit("z-first", "ann")
    db.submit("a-second", "ann")
    db.submit("elsewhere", "ann", page_id="2002")
    db.send("done", {"ann": SENT})

    open_batches = db.ask(lambda sql: batches.claimable_of_page(sql, "1001", 10))

    assert [row.message_id for row in open_batches] == ["z-first", "a-second"]
    assert sorted(db.ask(batches.pages_with_work)) == ["1001", "2002"]


# Retryable recipients


def test_recipients_are_grouped_by_attempts_and_token(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": FAILED_FOR_TOKEN, "bob": FAILED_FOR_TOKEN, "eve": FAILED})

    def groups(max_attempts: int, token_generation: int) -> list[tuple[str | None, bool, bool, int]]:
        judged = RetryContext(message_id=MESSAGE, max_attempts=max_attempts, token_generation=token_generation)
        found = db.ask(lambda sql: retry_groups.count_groups(sql, judged))
        return sorted((s.error_type or "", s.attempts_exhausted, s.token_replaced, count) for s, count in found.items())

    assert groups(2, 1) == [("ACCESS_TOKEN", False, False, 2), ("NETWORK", False, False, 1)]
    assert groups(2, 2) == [("ACCESS_TOKEN", False, True, 2), ("NETWORK", False, True, 1)]
    assert groups(1, 1) == [("ACCESS_TOKEN", True, False, 2), ("NETWORK", True, False, 1)]


def test_the_failed_recipients_of_a_group_are_found(db: DrivenStore) -> None:
    db.send(MESSAGE, {"bob": FAILED_FOR_TOKEN, "ann": FAILED_FOR_TOKEN, "eve": FAILED, "joe": SENT})
    judged = RetryContext(message_id=MESSAGE, max_attempts=2, token_generation=2)
    every = db.ask(lambda sql: retry_groups.count_groups(sql, judged))
    token = [retry_state for retry_state in every if retry_state.error_type == "ACCESS_TOKEN"]

    found = db.ask(lambda sql: retry_groups.list_failed(sql, judged, token, after="", limit=10))
    found_and_sorted = db.ask(
        lambda sql: retry_groups.list_failed(sql, judged, token, after="", limit=10, are_few=True)
    )
    rest = db.ask(lambda sql: retry_groups.list_failed(sql, judged, list(every), after="ann", limit=1))

    assert [row.recipient_id for row in found] == ["ann", "bob"]
    assert found_and_sorted == found
    assert [(row.recipient_id, row.origin_batch, row.origin_position) for row in rest] == [("bob", 1, 0)]
    assert {row.retry_state for row in found} == set(token)
