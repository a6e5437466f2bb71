"""Query plans: queries use indexes, do not scan whole messages, and do not sort what an index has in order."""

from collections.abc import Callable
from typing import Any

import pytest

from projections import delivery_rows, failures, message_rows, retry_groups
from projections.delivery_rows import DeliveryFilter
from projections.message_rows import MessageFilter
from projections.retry_groups import RetryContext
from projections.sql import Sql
from tests.builders import FAILED, MESSAGE, OWNER, SENT
from tests.projections.driven_store import DrivenStore
from tests.projections.query_plans import plan_of

JUDGED = RetryContext(message_id=MESSAGE, max_attempts=4, token_generation=1)
A_BATCH = "deliveries USING INDEX deliveries_key (message_id=? AND batch_number=?)"
AFTER_A_POSITION = "(message_id=? AND error_type=? AND (batch_number,position)>(?,?))"


def attempts(**wanted: Any) -> Callable[[Sql], object]:
    filter_ = DeliveryFilter(message_id=MESSAGE, **wanted)
    return lambda sql: delivery_rows.list_attempts(sql, filter_, after=(0, 0), limit=100)


def messages(**wanted: Any) -> Callable[[Sql], object]:
    filter_ = MessageFilter(owner=OWNER, **wanted)
    return lambda sql: message_rows.list_newest(sql, filter_, before=(0, ""), limit=100)


def failed(sql: Sql) -> object:
    return retry_groups.list_failed(sql, JUDGED, list(retry_groups.count_groups(sql, JUDGED)), after="ann", limit=100)


STATES_OF_PAGES = [
    "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "SCAN given",
    "pages USING INDEX sqlite_autoindex_pages_1 (page_id=?)",
    "page_pauses USING INDEX sqlite_autoindex_page_pauses_1 (page_id=?) LEFT-JOIN",
]
QUERIES: dict[str, tuple[Callable[[Sql], object], list[str]]] = {
    "attempts": (
        attempts(),
        ["deliveries USING INDEX deliveries_key (message_id=? AND (batch_number,position)>(?,?))"],
    ),
    "attempts of a recipient": (
        attempts(recipient_id="ann", statuses=("SENT",)),
        ["deliveries USING INDEX deliveries_of_recipient (message_id=? AND recipient_id=?)", "SORT"],
    ),
    "attempts of statuses": (
        attempts(statuses=("FAILED", "SENT")),
        ["batches USING INDEX sqlite_autoindex_batches_1 (message_id=? AND number>?)", A_BATCH],
    ),
    "unconfirmed attempts of an error type": (
        attempts(statuses=("UNCONFIRMED",), error_types=("NETWORK",)),
        [
            "batches USING INDEX sqlite_autoindex_batches_1 (message_id=? AND number>?)",
            "deliveries USING INDEX deliveries_by_error (message_id=? AND error_type=? AND batch_number=?)",
        ],
    ),
    "attempts of an error type": (
        attempts(error_types=("NETWORK",)),
        [f"deliveries USING INDEX deliveries_by_error {AFTER_A_POSITION}"],
    ),
    "attempts of error types": (
        attempts(error_types=("NETWORK", "OTHER", "PERMISSION"), statuses=("FAILED",)),
        [f"deliveries USING INDEX deliveries_by_error {AFTER_A_POSITION}"] * 3,
    ),
    "messages": (
        messages(),
        ["messages USING INDEX messages_newest (owner=? AND (create_time,message_id)<(?,?))", *STATES_OF_PAGES],
    ),
    "messages with failures": (
        messages(with_failures=True),
        ["messages USING INDEX messages_newest (owner=? AND (create_time,message_id)<(?,?))", *STATES_OF_PAGES],
    ),
    "messages of a page": (
        messages(page_id="1001"),
        [
            "messages USING INDEX messages_of_page (page_id=? AND (create_time,message_id)<(?,?))",
            *STATES_OF_PAGES,
        ],
    ),
    "failed recipients, and how many there are": (
        failed,
        [
            "recipients USING COVERING INDEX recipients_standings (message_id=? AND state=?)",
            "recipients USING INDEX recipients_failed (message_id=? AND recipient_id>?)",
        ],
    ),
}


@pytest.mark.parametrize(("query", "steps"), QUERIES.values(), ids=QUERIES)
def test_a_query_uses_an_index_and_reads_only_its_results(
    db: DrivenStore, query: Callable[[Sql], object], steps: list[str]
) -> None:
    db.send(MESSAGE, {"ann": FAILED, "bob": SENT})

    assert [step for step in map(search_step, plan_of(db, query)) if step] == steps


def search_step(step: str) -> str:
    """Return the index search, scan or sort of a plan step; empty for other steps, such as a merge."""
    if step.startswith("USE TEMP B-TREE"):
        return "SORT"
    if step.startswith("SCAN"):
        return step
    return step.removeprefix("SEARCH ") if step.startswith("SEARCH ") else ""


def test_a_failure_summary_looks_up_the_first_and_last_of_each_error_type(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": FAILED, "bob": SENT})

    plan = plan_of(db, lambda sql: failures.summarize(sql, [MESSAGE]))

    by_error = "INDEX recipients_by_error (message_id=? AND error_type=?)"
    assert [step for step in plan if "SEARCH recipients" in step] == [
        f"SEARCH recipients USING COVERING {by_error}",
        f"SEARCH recipients USING {by_error}",
    ]
    assert [step for step in plan if step.startswith("SCAN")] == ["SCAN json_each VIRTUAL TABLE INDEX 1:", "SCAN given"]
