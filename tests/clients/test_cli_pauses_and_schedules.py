"""`redrive pause`, `redrive resume`, and the schedule options of `redrive send`."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.delivery_service_pb2 import (
    GetMessageResponse,
    ListMessagesResponse,
    PauseMessageResponse,
    ResumeMessageResponse,
    SendResponse,
    StopPolicy,
)
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import ExponentialBackoff, Message, MessageStatus, RetryPolicy, RetryType, Stop, StopCause
from redrive.v1.page_pb2 import PageHold
from redrive.v1.resend_pb2 import ListRetriesResponse

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

SEND = ("send", "--page", "1", "--text", "Hi", "--recipient", "17")
CRON, AUTO = RetryType.RETRY_TYPE_CRON, RetryType.RETRY_TYPE_AUTO


def seconds(value: float) -> Duration:
    return Duration(seconds=int(value), nanos=int(value % 1 * 1e9))


async def test_pause_shows_the_paused_message(server: "ScriptedServer", redrive: "Redrive") -> None:
    paused = Message(id="m1", status=MessageStatus.MESSAGE_STATUS_PAUSED)
    server.answer("PauseMessage", PauseMessageResponse(message=paused))

    result = await redrive("pause", "m1")

    assert (result.exit_code, server.asked("PauseMessage")[0].message_id) == (0, "m1")
    assert "PAUSED" in result.stdout


async def test_resume_shows_the_resumed_message(server: "ScriptedServer", redrive: "Redrive") -> None:
    resumed = Message(id="m1", status=MessageStatus.MESSAGE_STATUS_SENDING)
    server.answer("ResumeMessage", ResumeMessageResponse(message=resumed))

    result = await redrive("resume", "m1")

    assert (result.exit_code, server.asked("ResumeMessage")[0].message_id) == (0, "m1")
    assert "SENDING" in result.stdout


async def test_suspended_automatic_rounds_are_shown_with_what_to_do(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    suspended = Message(id="m1", status=MessageStatus.MESSAGE_STATUS_FAILED, automatic_rounds_suspended=True)
    server.answer("GetMessage", GetMessageResponse(message=suspended))
    server.answer("ListMessages", ListMessagesResponse(messages=[suspended]))
    server.answer("ListRetries", ListRetriesResponse())

    one, every, rounds = [await redrive(*words) for words in (("message", "m1"), ("messages",), ("retries", "m1"))]

    assert "redrive resume m1 continues them" in one.stdout
    assert "FAILED, suspended" in every.stdout
    assert "redrive resend m1 starts a manual resend" in rounds.stdout


# The schedule time


@pytest.mark.parametrize("given", ["2026-12-24T18:00+01:00", "2026-12-24T17:00Z", "2026-12-24 17:00:00+00:00"])
async def test_time_with_an_offset_is_that_moment(server: "ScriptedServer", redrive: "Redrive", given: str) -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(*SEND, "--schedule-time", given, "--yes")

    assert result.exit_code == 0, result.output
    wanted = Timestamp()
    wanted.FromDatetime(datetime(2026, 12, 24, 17, tzinfo=UTC))
    assert server.asked("Send")[0].schedule_time == wanted


async def test_time_without_an_offset_is_local(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    await redrive(*SEND, "--schedule-time", "2026-12-24T18:00", "--yes")

    local = datetime(2026, 12, 24, 18).astimezone()
    assert server.asked("Send")[0].schedule_time.ToDatetime(tzinfo=UTC) == local


async def test_send_at_once_has_no_schedule_time(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    await redrive(*SEND)

    request = server.asked("Send")[0]
    assert not request.HasField("schedule_time")
    assert request.retry_policy == RetryPolicy(type=RetryType.RETRY_TYPE_MANUAL)


# The retry policy


@pytest.mark.parametrize(
    ("span", "asked"), [("90", 90), ("1.5s", 1.5), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("0.5H", 1_800)]
)
async def test_retry_interval_is_seconds_or_has_a_unit(
    server: "ScriptedServer", redrive: "Redrive", span: str, asked: float
) -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(*SEND, "--retry", "cron", "--retry-interval", span)

    assert result.exit_code == 0, result.output
    assert server.asked("Send")[0].retry_policy == RetryPolicy(type=CRON, interval=seconds(asked))


async def test_backoff_options_become_the_retry_policy(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(
        *(*SEND, "--retry", "auto", "--retry-backoff", "1m", "--retry-multiplier", "3"),
        *("--retry-maximum", "6h", "--retry-jitter", "0.2"),
    )
    await redrive(*SEND, "--retry", "auto", "--retry-backoff", "1m")

    assert result.exit_code == 0, result.output
    first, second = (request.retry_policy.backoff for request in server.asked("Send"))
    assert first == ExponentialBackoff(
        initial_interval=seconds(60), multiplier=3, maximum_interval=seconds(21_600), jitter=0.2
    )
    assert second == ExponentialBackoff(initial_interval=seconds(60))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--schedule-time", "soon"), "is not a time like"),
        (("--schedule-time", "2026-02-30"), "is not a time like"),
        (("--retry-interval", "fast"), "is not a duration like"),
        (("--retry-interval", "-5s"), "is not a duration like"),
        (("--retry-backoff", "99999999d"), "is not a duration like"),
        (("--retry-interval", "1m", "--retry-backoff", "1m"), "not both"),
        (("--retry-jitter", "0.5"), "require --retry-backoff"),
        (("--retry-interval", "1m", "--retry-maximum", "1h"), "require --retry-backoff"),
    ],
)
async def test_invalid_options_are_refused_before_sending(
    server: "ScriptedServer", redrive: "Redrive", options: tuple[str, ...], words: str
) -> None:
    result = await redrive(*SEND, "--retry", "cron", *options)

    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())
    assert server.requests == []


# Output


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (RetryPolicy(type=CRON, max_retry_attempts=3), "CRON, at most 3"),
        (
            RetryPolicy(type=CRON, max_retry_attempts=3, interval=seconds(900)),
            "CRON, at most 3, 0:15:00 after each round",
        ),
        (
            RetryPolicy(
                type=AUTO,
                max_retry_attempts=5,
                backoff=ExponentialBackoff(
                    initial_interval=seconds(60), multiplier=2, maximum_interval=seconds(86_400)
                ),
            ),
            "AUTO, at most 5, after 0:01:00, then 2 times as long each time, up to 1 day, 0:00:00",
        ),
    ],
)
async def test_a_message_shows_when_it_is_sent_and_retried(
    server: "ScriptedServer", redrive: "Redrive", policy: RetryPolicy, words: str
) -> None:
    noon = datetime(2026, 3, 1, 12).astimezone()
    message = Message(id="m1", retry_policy=policy)
    message.schedule_time.FromDatetime(noon)
    message.next_retry_time.FromDatetime(noon.replace(hour=13))
    server.answer("GetMessage", GetMessageResponse(message=message))

    result = await redrive("message", "m1")

    assert words in result.stdout
    assert "2026-03-01 12:00:00" in result.stdout
    assert "2026-03-01 13:00:00" in result.stdout


# A schedule time that has passed


def ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


async def test_passed_schedule_time_is_refused_without_a_terminal(server: "ScriptedServer", redrive: "Redrive") -> None:
    result = await redrive(*SEND, "--schedule-time", ago(61))

    assert result.exit_code == 2
    assert "Nothing was sent." in result.stderr
    assert "was 1 hour ago" in result.stderr
    assert "--yes" in result.stderr
    assert not server.asked("Send")


async def test_passed_schedule_time_is_sent_with_yes_and_a_warning(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(*SEND, "--schedule-time", ago(2 * 24 * 60 + 5), "--yes")

    assert result.exit_code == 0
    assert "Warning: --schedule-time" in result.stderr
    assert "2 days ago: the message is sent at once" in result.stderr
    assert len(server.asked("Send")) == 1


@pytest.mark.parametrize(("answer", "exit_code", "sent"), [("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0)])
async def test_passed_schedule_time_asks_for_confirmation_on_a_terminal(
    server: "ScriptedServer",
    redrive: "Redrive",
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    exit_code: int,
    sent: int,
) -> None:
    monkeypatch.setattr("redrive.cli.send.is_terminal", lambda: True)
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(*SEND, "--schedule-time", ago(61), input=answer)

    assert (result.exit_code, len(server.asked("Send"))) == (exit_code, sent)
    assert "Send it now?" in result.stderr


@pytest.mark.parametrize("minutes", [0.5, 0, -90])
async def test_schedule_time_of_the_last_minute_or_later_gets_no_warning(
    server: "ScriptedServer", redrive: "Redrive", minutes: float
) -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(*SEND, "--schedule-time", ago(minutes))

    assert (result.exit_code, result.stderr) == (0, "")


async def test_a_dry_run_warns_of_a_schedule_time_that_has_passed(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("Send", SendResponse())

    result = await redrive(*SEND, "--schedule-time", ago(61), "--dry-run")

    assert result.exit_code == 0
    assert "1 hour ago" in result.stderr


# A message that the server stopped


STOP = Stop(
    cause=StopCause.STOP_CAUSE_CONTENT,
    error_code=100,
    error_subcode=2018008,
    error_message="Failed to fetch the file",
    failed=89,
    attempts=99,
)


async def test_stopped_message_shows_cause_and_remedy(server: "ScriptedServer", redrive: "Redrive") -> None:
    stopped = Message(id="m1", status=MessageStatus.MESSAGE_STATUS_PAUSED, stop=STOP)
    server.answer("GetMessage", GetMessageResponse(message=stopped))

    result = await redrive("message", "m1")

    shown = " ".join(result.stdout.split())
    assert "89 of 99 attempts failed; last error 100/2018008: Failed to fetch the file" in shown
    assert "Resend with corrected content" in shown


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), None),
        (("--stop-share", "0.5"), StopPolicy(max_failure_share=0.5)),
        (("--stop-share", "0.2", "--stop-after", "50"), StopPolicy(max_failure_share=0.2, min_attempts=50)),
    ],
)
async def test_a_stop_policy_is_asked_for_only_when_given(
    server: "ScriptedServer", redrive: "Redrive", options: tuple[str, ...], wanted: StopPolicy | None
) -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    result = await redrive(*SEND, *options)

    assert result.exit_code == 0, result.output
    sent = server.asked("Send")[0]
    assert (sent.stop_policy if sent.HasField("stop_policy") else None) == wanted


@pytest.mark.parametrize(
    ("error_type", "remedy"),
    [
        (ErrorType.ERROR_TYPE_ACCESS_TOKEN, "Replace the page's token."),
        (ErrorType.ERROR_TYPE_PERMISSION, "then release the page or replace its token."),
        (ErrorType.ERROR_TYPE_UNSPECIFIED, "Release the page."),
    ],
)
async def test_hold_shows_the_remedy(
    server: "ScriptedServer", redrive: "Redrive", error_type: ErrorType.ValueType, remedy: str
) -> None:
    held = Message(id="m1", page_hold=PageHold(reason="why", error_type=error_type))
    server.answer("GetMessage", GetMessageResponse(message=held))

    result = await redrive("message", "m1")

    assert remedy in " ".join(result.stdout.split())
