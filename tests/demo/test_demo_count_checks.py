"""The demo's count checks find each kind of wrong count."""

from demo.count_checks import discrepancies
from redrive.v1.message_pb2 import Counts
from server.sandbox.record import Summary


def summary(*, people: int, twice: int = 0) -> Summary:
    return Summary(
        received=people + twice,
        accepted=people + twice,
        by_outcome={},
        recipients=people,
        recipients_accepted=people,
        duplicate_count=twice,
        duplicates=[],
        repeat_count=twice,
        repeats=[],
    )


def test_counts_that_add_up_are_accepted() -> None:
    counts = Counts(total=10, pending=1, sending=1, sent=5, failed=1, unconfirmed=1, cancelled=1)

    assert not discrepancies(counts, summary(people=5))


def test_a_recipient_without_a_status_is_reported() -> None:
    assert discrepancies(Counts(total=10, sent=5, failed=4), summary(people=5)) == [
        "The counts do not add up: 10 recipients in total, 9 with a status."
    ]


def test_a_received_message_that_is_not_counted_as_sent_is_reported() -> None:
    assert discrepancies(Counts(total=10, sent=5, failed=5), summary(people=6)) == [
        "5 recipients count as sent, but 6 received the message."
    ]


def test_a_message_that_a_recipient_received_twice_is_reported() -> None:
    assert discrepancies(Counts(total=10, sent=5, failed=5), summary(people=5, twice=1)) == [
        "1 recipients received the message more than once."
    ]
