"""What the pages show for responses of the server."""

import itertools
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.pages.history import arrange
from redrive.dashboard.pages.outcomes import OutcomeBucket, chart, into_buckets
from redrive.dashboard.pages.progress_card import balance_text
from redrive.dashboard.pages.resend_preview import preview_lines
from redrive.dashboard.pages.rounds import round_text
from redrive.dashboard.pages.timeline import build_timeline
from redrive.dashboard.state.resend_choice import ResendChoice, Selection
from redrive.dashboard.widgets.pager import PageCursor
from redrive.dashboard.widgets.status import counts_text
from redrive.v1.delivery_service_pb2 import LogEvent
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Counts, Message
from redrive.v1.page_pb2 import PageHold
from redrive.v1.resend_pb2 import (
    CanaryState,
    ResendBatches,
    ResendCause,
    ResendPrediction,
    ResendResponse,
    RetryRound,
    RetrySelection,
    SkippedRecipients,
    SkipReason,
)

NETWORK, TOKEN = ErrorType.ERROR_TYPE_NETWORK, ErrorType.ERROR_TYPE_ACCESS_TOKEN


def test_selection_spans_pages_and_deselecting_one_of_all_keeps_its_page() -> None:
    selection = Selection()
    selection.set("ann", is_on=True, on_page=["ann", "bob"])
    selection.set_page(["cid", "dan"], is_on=True)
    assert (selection.count(99), selection.choice([NETWORK])) == (3, ResendChoice(recipient_ids=("ann", "cid", "dan")))

    selection.select_all()
    assert (selection.count(99), selection.choice([NETWORK])) == (99, ResendChoice(error_types=(NETWORK,)))

    selection.set("cid", is_on=False, on_page=["cid", "dan"])
    assert (selection.has("ann"), selection.has("dan"), selection.count(99)) == (False, True, 1)


def test_choice_becomes_a_dry_run_at_the_seen_sequence() -> None:
    request = ResendChoice(error_types=(TOKEN,)).request("m", sequence=7, include_unconfirmed=True)

    assert (request.validate_only, request.as_of_sequence, request.include_unconfirmed) == (True, 7, True)
    assert (request.message_id, list(request.error_types), list(request.recipient_ids)) == ("m", [TOKEN], [])


def test_preview_warns_of_named_recipients_that_will_fail_again() -> None:
    answer = ResendResponse(
        recipients_to_retry=30,
        batches=ResendBatches(total=1),
        predictions=[
            ResendPrediction(cause=ResendCause.RESEND_CAUSE_PAGE_ON_HOLD, count=18),
            ResendPrediction(cause=ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW, count=12),
        ],
    )
    assert preview_lines(answer) == [
        "30 recipients get the message again, in 1 batch.",
        "18 of them wait: the page is on hold until it is released or gets a new token.",
        "12 of them will fail again: outside the platform's 24-hour window.",
    ]

    answer.skipped.append(SkippedRecipients(reason=SkipReason.SKIP_REASON_PERMANENT_ERROR, count=12))
    assert not [line for line in preview_lines(answer) if "fail again" in line]  # they are skipped
    assert preview_lines(ResendResponse()) == []


def test_round_shows_its_recipients() -> None:
    selection = RetrySelection(error_types=[NETWORK, TOKEN], include_unconfirmed=True)
    done = RetryRound(recipients=1_200, selection=selection, reason="The network is back")
    assert round_text(done) == "1,200 recipients: network, token expired, including unconfirmed. The network is back"

    stopped = RetryRound(recipients=5, canary_state=CanaryState.CANARY_STATE_STOPPED, recipients_after_canary=95)
    assert round_text(stopped) == "5 recipients; canary failed, 95 not sent"


def test_the_history_finds_all_words_and_sorts_within_what_was_read() -> None:
    def message(title: str, failed: int, sent: int, seconds: int) -> Message:
        counts = Counts(total=10, failed=failed, sent=sent, pending=10 - failed - sent)
        return Message(title=title, page_id="shop", counts=counts, create_time=Timestamp(seconds=seconds))

    alpha, beta, gamma = message("Alpha one", 1, 9, 30), message("beta One", 5, 5, 20), message("Gamma", 0, 2, 10)
    every = [alpha, beta, gamma]

    assert arrange(every, "ONE shop", "newest") == [alpha, beta]
    assert arrange(every, "", "oldest") == [gamma, beta, alpha]
    assert arrange(every, "", "failed") == [beta, alpha, gamma]
    assert arrange(every, "", "progress") == [gamma, alpha, beta]
    assert arrange(every, "nowhere", "title") == []


def test_cursor_moves_by_the_servers_page_tokens() -> None:
    cursor = PageCursor()
    cursor.next()
    assert cursor.token == ""
    cursor.next_token = "second"
    cursor.next()
    assert (cursor.token, cursor.number) == ("second", 2)
    cursor.previous()
    cursor.previous()
    assert (cursor.token, cursor.number, cursor.next_token) == ("", 1, "second")


def test_outcomes_are_summed_in_equal_spans_and_none_is_lost() -> None:
    begin = datetime(2026, 1, 31, tzinfo=UTC)
    known = [
        OutcomeBucket(begin + timedelta(seconds=place), sent=2, failed=1, unconfirmed=place % 2)
        for place in range(1_000)
    ]

    buckets = into_buckets(known)

    assert len(buckets) == 40
    assert [sum(column) for column in zip(*(bucket[1:] for bucket in buckets), strict=True)] == [2_000, 1_000, 500]
    assert {later.start - earlier.start for earlier, later in itertools.pairwise(buckets)} == {
        timedelta(seconds=999) / 40
    }
    assert into_buckets([]) == []
    assert into_buckets([known[1]]) == [known[1]]
    assert into_buckets([known[1], known[1]])[0].sent == 4
    assert [series["data"][0][1] for series in chart(buckets)["series"]] == list(buckets[0][1:])
    axis = chart(buckets[:1])["xAxis"]
    assert axis["max"] - axis["min"] == 3_600_000  # an hour, with the only bucket in the middle


def test_the_timeline_has_the_newest_first_in_the_order_of_the_log() -> None:
    events = [
        LogEvent(time=Timestamp(seconds=10), name="MessageSubmitted", summary="Accepted"),
        LogEvent(time=Timestamp(seconds=30), name="PageHeld", summary="Held"),
        LogEvent(time=Timestamp(seconds=29), name="RetryRequested", summary="Resent by a server whose clock is slow"),
    ]
    hold = PageHold(reason="the token has expired", hold_time=Timestamp(seconds=30))

    entries = build_timeline(events, Message(create_time=Timestamp(seconds=10), page_hold=hold))

    assert [(entry.icon, entry.text) for entry in entries] == [
        ("replay", "Resent by a server whose clock is slow"),
        ("front_hand", "Held"),
        ("inbox", "Accepted"),
    ]


def test_timeline_begins_with_an_earlier_hold() -> None:
    accepted = LogEvent(time=Timestamp(seconds=10), name="MessageSubmitted", summary="Accepted")
    hold = PageHold(reason="a wrong link", hold_time=Timestamp(seconds=9))

    entries = build_timeline([accepted], Message(create_time=Timestamp(seconds=10), page_hold=hold))

    assert [entry.text for entry in entries] == ["Accepted", "The page was already on hold: a wrong link"]


def test_wrong_sum_of_counts_is_shown() -> None:
    counts = Counts(total=1_000, sent=940, failed=60)
    assert (balance_text(counts), counts_text(counts)) == (
        "1,000 recipients = 940 sent + 60 failed",
        "940 of 1,000 sent, 60 failed",
    )

    counts.failed = 59
    assert balance_text(counts).endswith("the counts are off by 1")
