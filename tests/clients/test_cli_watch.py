"""The command `redrive watch`: text lines, live bar, JSON, exit codes."""

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.delivery_service_pb2 import (
    GetMessageResponse,
    ListFailedResponse,
    ResendResponse,
    SkippedRecipients,
    SkipReason,
    WatchProgressResponse,
)
from redrive.v1.message_pb2 import Counts, Message, MessageStatus, RetryPolicy, RetryType
from redrive.v1.page_pb2 import PageHold, PagePause
from redrive.v1.progress_pb2 import Progress
from redrive.v1.retry_service_pb2 import GetRetryScheduleResponse

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

SENDING = Progress(
    status=MessageStatus.MESSAGE_STATUS_SENDING,
    counts=Counts(total=1_000, sent=400, failed=1, pending=589, sending=10),
    messages_per_second=50,
    eta=Duration(seconds=12),
)
SENT = Progress(status=MessageStatus.MESSAGE_STATUS_SENT, counts=Counts(total=1_000, sent=1_000))


def at(sequence: int, progress: Progress) -> WatchProgressResponse:
    return WatchProgressResponse(sequence=sequence, progress=progress)


async def test_a_file_gets_a_line_for_each_change(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, SENDING), at(1, SENDING), at(2, SENT))

    result = await redrive("watch", "m1")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "SENDING: 400 of 1,000 sent, 1 failed, 0 unconfirmed, 599 pending, 50.0/s, 12 s left",
        "SENT: 1,000 of 1,000 sent, 0 failed, 0 unconfirmed, 0 pending",
    ]


async def test_pause_of_the_page_is_shown_with_its_end_and_reason(server: "ScriptedServer", redrive: "Redrive") -> None:
    paused = Progress()
    paused.CopyFrom(SENDING)
    paused.page_pause.CopyFrom(PagePause(reason="Retry-After: 60", until_time=Timestamp(seconds=1_800_000_000)))
    server.stream(at(1, SENDING), at(1, paused), at(2, SENT))

    result = await redrive("watch", "m1")

    line = result.stdout.splitlines()[1]
    assert line.startswith(
        "SENDING: 400 of 1,000 sent, 1 failed, 0 unconfirmed, 599 pending, page paused until 2027-01-1"
    )
    assert line.endswith(": Retry-After: 60")


async def test_a_terminal_gets_a_live_bar(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, SENDING), at(2, SENT))

    result = await redrive("watch", "m1", env={"FORCE_COLOR": "1", "COLUMNS": "200", "TERM": "xterm"})

    assert result.exit_code == 0, result.output
    assert "100%" in result.stdout
    assert "SENT: 1,000 of 1,000 sent" in result.stdout


async def test_json_is_a_line_for_each_answer(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, SENDING), at(2, SENT))

    result = await redrive("watch", "m1", "-o", "json")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["sequence"] for line in lines] == ["1", "2"]
    assert lines[0]["progress"]["counts"]["unconfirmed"] == 0


@pytest.mark.parametrize(
    ("status", "counts", "exit_code"),
    [
        ("SENT", Counts(total=2, sent=2), 0),
        ("PARTIALLY_SENT", Counts(total=2, sent=1, failed=1), 10),
        ("FAILED", Counts(total=2, unconfirmed=2), 10),
        ("CANCELLED", Counts(total=2, failed=1, cancelled=1), 11),
    ],
)
async def test_the_exit_code_says_how_the_message_ended(
    server: "ScriptedServer", redrive: "Redrive", status: str, counts: Counts, exit_code: int
) -> None:
    ended = Progress(status=MessageStatus.Value(f"MESSAGE_STATUS_{status}"), counts=counts)
    server.stream(at(1, ended))
    server.answer("Resend", ResendResponse())
    server.answer("GetMessage", GetMessageResponse())

    result = await redrive("watch", "m1")

    assert result.exit_code == exit_code
    assert ("redrive failed m1" in result.stdout) is (exit_code == 10)


WITH_FAILURES = Progress(
    status=MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, counts=Counts(total=9, sent=4, failed=4, unconfirmed=1)
)


@pytest.mark.parametrize(
    ("taken", "reason", "words"),
    [
        (2, SkipReason.SKIP_REASON_ALREADY_SENT, ["redrive resend m1 resends to 2 recipients."]),
        (0, SkipReason.SKIP_REASON_ALREADY_SENT, []),
        (0, SkipReason.SKIP_REASON_UNCONFIRMED, ["Unconfirmed: ", "--include-unconfirmed", "may then arrive twice"]),
        (
            0,
            SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED,
            ["Waiting for a new token: ", "redrive page put PAGE, then resend"],
        ),
        (0, SkipReason.SKIP_REASON_PERMANENT_ERROR, ["Permanent error: ", "--error-type or --recipient"]),
        (0, SkipReason.SKIP_REASON_ATTEMPTS_USED_UP, ["Attempts used up: No further resend is possible."]),
    ],
)
async def test_watch_ends_with_advice_about_the_failures(
    server: "ScriptedServer", redrive: "Redrive", taken: int, reason: SkipReason.ValueType, words: list[str]
) -> None:
    server.stream(at(1, WITH_FAILURES))
    skipped = [SkippedRecipients(reason=reason, count=1)]
    server.answer("Resend", ResendResponse(recipients_to_retry=taken, skipped=skipped))
    server.answer("GetMessage", GetMessageResponse())

    result = await redrive("watch", "m1")

    assert server.asked("Resend")[0].validate_only
    _, shows, *advice = result.stdout.splitlines()
    assert shows == "redrive failed m1 shows the recipients and the errors."
    assert len(advice) == (1 if words else 0)
    assert all(word in advice[0] for word in words)


async def test_exit_code_is_kept_when_the_advice_cannot_be_read(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, WITH_FAILURES))
    server.refuse("Resend", grpc.StatusCode.FAILED_PRECONDITION)
    server.refuse("GetMessage", grpc.StatusCode.UNAVAILABLE)

    result = await redrive("watch", "m1")

    assert result.exit_code == 10
    assert result.stdout.endswith("redrive failed m1 shows the recipients and the errors.\n")


async def test_cancelled_message_shows_no_rate_and_no_time_left(server: "ScriptedServer", redrive: "Redrive") -> None:
    stopping = Progress(
        status=MessageStatus.MESSAGE_STATUS_CANCELLED,
        counts=Counts(total=10, sent=3, sending=1, cancelled=6),
        messages_per_second=50,
        eta=Duration(seconds=12),
    )
    stopped = Progress(status=stopping.status, counts=Counts(total=10, sent=4, cancelled=6), messages_per_second=50)
    server.stream(at(1, stopping), at(2, stopped))

    result = await redrive("watch", "m1")

    assert result.stdout.splitlines() == [
        "CANCELLED: 3 of 10 sent, 0 failed, 0 unconfirmed, 1 pending, 6 cancelled",
        "CANCELLED: 4 of 10 sent, 0 failed, 0 unconfirmed, 0 pending, 6 cancelled",
    ]


async def test_watching_an_unknown_message_is_not_found(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(server.refusal(grpc.StatusCode.NOT_FOUND, message="There is no message m1."))

    result = await redrive("watch", "m1")

    assert result.exit_code == 3
    assert result.stderr == "There is no message m1.\n"


# While an automatic round is due later

DUE = 1_800_000_000  # seconds


def waiting(sequence: int, *, now: float = DUE - 0.01, hold: PageHold | None = None) -> WatchProgressResponse:
    """Return the progress of a message with a failure; its next round is due in 10 ms unless the page is on hold."""
    progress = Progress(
        status=MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, counts=Counts(total=2, sent=1, failed=1), page_hold=hold
    )
    if hold is None:
        progress.next_retry_time.FromSeconds(DUE)
    answer = WatchProgressResponse(sequence=sequence, progress=progress)
    answer.time.FromMicroseconds(int(now * 1e6))
    return answer


def with_rounds_left(server: "ScriptedServer", policy: RetryPolicy, **message: Any) -> None:
    server.answer("GetMessage", GetMessageResponse(message=Message(retry_policy=policy, page_id="1001", **message)))
    server.answer("Resend", ResendResponse())


AUTO = RetryPolicy(type=RetryType.RETRY_TYPE_AUTO, max_retry_attempts=3)
CRON = RetryPolicy(type=RetryType.RETRY_TYPE_CRON, max_retry_attempts=3)


@pytest.mark.parametrize("command", [("watch", "m1"), ("resend", "m1", "--watch")])
async def test_a_watch_stays_while_a_retry_is_due(
    server: "ScriptedServer", redrive: "Redrive", command: tuple[str, ...]
) -> None:
    server.stream(waiting(1))
    server.stream(waiting(1))
    server.stream(at(2, SENDING), at(3, SENT))
    server.answer("ListFailed", ListFailedResponse(retryable_count=1))
    server.answer("Resend", ResendResponse())

    result = await redrive(*command)

    assert result.exit_code == 0, result.output
    assert "next retry 20" in result.stdout
    assert result.stdout.count("PARTIALLY_SENT") == 1
    assert len(server.asked("WatchProgress")) == 3


async def test_a_watch_that_does_not_wait_for_retries_says_that_one_is_due(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    server.stream(waiting(1))
    server.answer("ListFailed", ListFailedResponse(retryable_count=1))
    with_rounds_left(server, AUTO)

    result = await redrive("watch", "m1", "--no-wait-for-retries")

    assert result.exit_code == 12
    assert "next retry 20" in result.stdout
    assert len(server.asked("WatchProgress")) == 1


@pytest.mark.parametrize(("option", "looks"), [((), 2), (("--no-wait-for-retries",), 1)])
async def test_watch_does_not_wait_for_a_round_without_retryable_recipients(
    server: "ScriptedServer", redrive: "Redrive", option: tuple[str, ...], looks: int
) -> None:
    """It checks again before it ends: the round may have started since."""
    server.stream(waiting(1))
    server.stream(waiting(1))
    server.answer("ListFailed", ListFailedResponse(retryable_count=0))
    with_rounds_left(server, AUTO)

    result = await redrive("watch", "m1", *option)

    assert result.exit_code == 10
    assert len(server.asked("WatchProgress")) == looks


async def test_round_that_starts_during_the_count_is_watched(server: "ScriptedServer", redrive: "Redrive") -> None:
    """Its recipient is pending by then, so that none is retryable."""
    server.stream(waiting(1))
    server.stream(at(2, SENT))
    server.answer("ListFailed", ListFailedResponse(retryable_count=0))

    assert (await redrive("watch", "m1")).exit_code == 0


async def test_hold_of_the_page_ends_the_watch(server: "ScriptedServer", redrive: "Redrive") -> None:
    hold = PageHold(reason="the token is dead")
    server.stream(waiting(1))
    server.stream(waiting(1, hold=hold))
    server.answer("ListFailed", ListFailedResponse(retryable_count=1))
    with_rounds_left(server, AUTO, page_hold=hold)

    result = await redrive("watch", "m1")

    assert result.exit_code == 10
    assert "page on hold: the token is dead" in result.stdout
    assert "No automatic round starts while page 1001 is on hold." in result.stdout


async def test_a_cancel_ends_the_wait(server: "ScriptedServer", redrive: "Redrive") -> None:
    cancelled = Progress(status=MessageStatus.MESSAGE_STATUS_CANCELLED, counts=Counts(total=2, sent=1, failed=1))
    server.stream(waiting(1))
    server.stream(at(2, cancelled))
    server.answer("ListFailed", ListFailedResponse(retryable_count=1))

    assert (await redrive("watch", "m1")).exit_code == 11


async def test_a_pause_is_shown_and_waited_for(server: "ScriptedServer", redrive: "Redrive") -> None:
    paused = Progress(status=MessageStatus.MESSAGE_STATUS_PAUSED, counts=Counts(total=2, sent=1, failed=1))
    server.stream(waiting(1))
    server.stream(at(2, paused), at(2, paused), at(3, SENT))
    server.answer("ListFailed", ListFailedResponse(retryable_count=1))

    result = await redrive("watch", "m1")

    assert result.exit_code == 0
    assert "PAUSED: 1 of 2 sent, 1 failed" in result.stdout


async def test_watch_does_not_wait_for_a_disabled_timer(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(at(1, WITH_FAILURES))
    with_rounds_left(server, CRON)
    server.answer("GetRetrySchedule", GetRetryScheduleResponse())

    result = await redrive("watch", "m1")

    assert result.exit_code == 10
    assert "The server's retry timer is off: redrive retry run starts the next round." in result.stdout


async def test_suspended_rounds_end_the_watch_with_advice(server: "ScriptedServer", redrive: "Redrive") -> None:
    counts = Counts(total=50, sent=1, failed=49)
    ended = Progress(status=MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, counts=counts, automatic_rounds_suspended=True)
    server.stream(at(1, ended))
    server.answer("Resend", ResendResponse())

    result = await redrive("watch", "m1")

    assert result.exit_code == 10
    line, *ways_on = result.stdout.splitlines()
    assert line.endswith("0 pending, automatic rounds suspended")
    assert "redrive resume m1 continues them" in ways_on[-1]
