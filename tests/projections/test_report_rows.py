"""Reports sum up attempts by number, hour, error and message, of a message or of a page."""

from datetime import timedelta
from typing import Any

import pytest

from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed
from domain.owner import ANY_OWNER
from projections import delivery_reports
from projections.delivery_reports import OutcomeCounts, ReportFilter
from projections.sql import Sql, micros
from tests.builders import (
    FAILED,
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    SENT,
    UNCONFIRMED,
    batch_recipients,
    fault,
    retry_requested,
)
from tests.projections.driven_store import DrivenStore

GONE = Failed(fault(ErrorType.INVALID_RECIPIENT, RetryRule.NEVER, code=100, subcode=2018001))
HOUR = micros(NOW)
NEXT_HOUR = micros(NOW + timedelta(hours=1))
OTHER = "m-2"


def ended(sent: int = 0, failed: int = 0, unconfirmed: int = 0) -> OutcomeCounts:
    return OutcomeCounts(sent=sent, failed=failed, unconfirmed=unconfirmed)


@pytest.fixture
def reports(db: DrivenStore) -> DrivenStore:
    """Two messages of a page: one with a second round, one of another owner."""
    db.send(MESSAGE, {"ann": SENT, "bob": FAILED, "carl": GONE, "dora": UNCONFIRMED})
    db.write(
        db.of_message(db.message(), retry_requested()),
        *db.new_batches(MESSAGE, [batch_recipients("bob", attempt=2)], first=2, round=1),
    )
    db.deliver(MESSAGE, 2, {"bob": SENT})
    db.complete(MESSAGE, at=2)
    db.send(OTHER, {"ann": GONE}, at=5, owner="eve")
    return db


def report(**wanted: Any) -> ReportFilter:
    return ReportFilter(**{"owner": OWNER, **wanted})


def newest(db: DrivenStore, wanted: ReportFilter, before: tuple[int, str] | None = None) -> list[str]:
    rows = db.ask(lambda sql: delivery_reports.list_messages(sql, wanted, before=before, limit=10))
    return [row.message_id for row in rows]


def test_attempts_are_summed_up_by_their_number(reports: DrivenStore) -> None:
    counts = reports.ask(lambda sql: delivery_reports.counts_by_attempt(sql, report(message_id=MESSAGE)))

    assert counts == {1: ended(sent=1, failed=2, unconfirmed=1), 2: ended(sent=1)}
    assert [count.total for count in counts.values()] == [4, 1]


def test_attempts_of_a_page_are_those_of_the_owner_or_of_all(reports: DrivenStore) -> None:
    def of_page(owner: str) -> OutcomeCounts:
        return reports.ask(lambda sql: delivery_reports.counts_by_attempt(sql, report(page_id=PAGE, owner=owner)))[1]

    assert of_page(OWNER) == ended(sent=1, failed=2, unconfirmed=1)
    assert of_page(ANY_OWNER) == ended(sent=1, failed=3, unconfirmed=1)


def test_attempts_are_summed_up_by_whole_hours(reports: DrivenStore) -> None:
    def by_hour(**time: int) -> dict[int, OutcomeCounts]:
        return dict(reports.ask(lambda sql: delivery_reports.counts_by_hour(sql, report(message_id=MESSAGE, **time))))

    all_of_it = {HOUR: ended(sent=2, failed=2, unconfirmed=1)}
    assert by_hour() == by_hour(start=HOUR + 1, end=HOUR + 2) == all_of_it
    assert by_hour(start=NEXT_HOUR) == by_hour(end=HOUR) == {}


def test_the_most_frequent_error_comes_first(reports: DrivenStore) -> None:
    errors = reports.ask(lambda sql: delivery_reports.most_common_errors(sql, report(page_id=PAGE, owner=ANY_OWNER)))

    assert [(one.error_type, one.error_code, one.deliveries) for one in errors] == [
        ("INVALID_RECIPIENT", 100, 2),
        ("NETWORK", 0, 2),
    ]


def test_first_attempts_are_counted_by_message(reports: DrivenStore) -> None:
    def first(sql: Sql) -> dict[str, OutcomeCounts]:
        return dict(delivery_reports.first_attempt_counts(sql, report(page_id=PAGE), [MESSAGE, OTHER, "unknown"]))

    assert reports.ask(first) == {MESSAGE: ended(sent=1, failed=2, unconfirmed=1), OTHER: ended(failed=1)}


def test_the_messages_of_a_report_are_listed_newest_first(reports: DrivenStore) -> None:
    everything = report(page_id=PAGE, owner=ANY_OWNER)

    assert newest(reports, everything) == [OTHER, MESSAGE]
    assert newest(reports, report(page_id=PAGE)) == [MESSAGE]
    assert newest(reports, everything, before=(reports.row(OTHER).create_time, OTHER)) == [MESSAGE]


def test_a_report_of_a_time_lists_messages_with_attempts_in_it(reports: DrivenStore) -> None:
    assert newest(reports, report(page_id=PAGE, start=HOUR, end=NEXT_HOUR)) == [MESSAGE]
    assert newest(reports, report(page_id=PAGE, start=NEXT_HOUR, end=NEXT_HOUR + 1)) == []
