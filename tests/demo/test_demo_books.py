"""The demo's own check can fail."""

from demo.books import discrepancies
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


def test_books_that_balance_have_no_discrepancies() -> None:
    counts = Counts(total=10, pending=1, sending=1, sent=5, failed=1, unconfirmed=1, cancelled=1)

    assert not discrepancies(counts, summary(people=5))


def test_a_recipient_who_is_counted_nowhere_is_a_discrepancy() -> None:
    assert discrepancies(Counts(total=10, sent=5, failed=4), summary(people=5)) == [
        "The books do not balance: 10 recipients, 9 accounted for."
    ]


def test_a_message_that_the_books_do_not_know_of_is_a_discrepancy() -> None:
    assert discrepancies(Counts(total=10, sent=5, failed=5), summary(people=6)) == [
        "5 count as sent to, but 6 people got the message."
    ]


def test_a_second_message_to_somebody_is_a_discrepancy() -> None:
    assert discrepancies(Counts(total=10, sent=5, failed=5), summary(people=5, twice=1)) == [
        "1 people got the message twice."
    ]
