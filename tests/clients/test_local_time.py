"""A local time resolves to one moment, also if a clock change skips or repeats it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.cli.local_time import resolve_local_time
from redrive.v1.delivery_service_pb2 import GetMessageResponse, ListFailedResponse, SendResponse
from redrive.v1.message_pb2 import Message
from redrive.v1.report_service_pb2 import GetDeliveryReportResponse

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

SEND = ("send", "--page", "1", "--text", "Hi", "--recipient", "17", "--schedule-time")
ZONES = [
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"),
    *("America/Sao_Paulo", "Asia/Kathmandu", "Asia/Tehran", "Antarctica/Troll", "Europe/Dublin", "UTC"),
]


@contextmanager
def zone(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


SKIPPED = [
    ("Europe/Berlin", "2027-03-28T02:30", "2027-03-28T01:30Z"),
    ("Europe/Berlin", "2027-03-28T02:00", "2027-03-28T01:00Z"),
    ("Europe/Berlin", "2027-03-28T02:59:59", "2027-03-28T01:59:59Z"),
    ("CET-1CEST,M3.5.0,M10.5.0/3", "2027-03-28T02:30", "2027-03-28T01:30Z"),
    ("America/New_York", "2027-03-14T02:30", "2027-03-14T07:30Z"),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45Z"),
    ("Africa/Casablanca", "2027-03-14T02:30", "2027-03-14T02:30Z"),
    ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T22:00Z"),
    ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00Z"),
]
TWICE = [
    ("Europe/Berlin", "2027-10-31T02:30", "2027-10-31T00:30Z"),
    ("America/New_York", "2027-11-07T01:30", "2027-11-07T05:30Z"),
    ("Australia/Lord_Howe", "2027-04-04T01:45", "2027-04-03T14:45Z"),
    ("Africa/Casablanca", "2027-02-07T02:30", "2027-02-07T01:30Z"),
]
PLAIN = [
    ("Europe/Berlin", "2027-03-28T01:59", "2027-03-28T00:59Z"),
    ("Europe/Berlin", "2027-03-28T03:00", "2027-03-28T01:00Z"),
    ("Europe/Berlin", "2027-10-31T03:00", "2027-10-31T02:00Z"),
    ("Europe/Berlin", "2027-03-28T02:30+01:00", "2027-03-28T01:30Z"),
    ("Europe/Berlin", "2027-10-31T02:30+01:00", "2027-10-31T01:30Z"),
    ("Europe/Berlin", "2027-03-28T02:30Z", "2027-03-28T02:30Z"),
    ("Asia/Kathmandu", "2027-03-28T02:30", "2027-03-27T20:45Z"),
    ("UTC", "2027-03-28T02:30", "2027-03-28T02:30Z"),
]


@pytest.mark.parametrize(
    ("name", "given", "moment", "note"),
    [(*case, "the clock skips it") for case in SKIPPED]
    + [(*case, "occurs twice here. The first is taken") for case in TWICE]
    + [(*case, "") for case in PLAIN],
)
async def test_schedule_time_resolves_to_one_moment_with_a_note(
    server: "ScriptedServer", redrive: "Redrive", name: str, given: str, moment: str, note: str
) -> None:
    server.answer("Send", SendResponse(message=Message(id="m1")))

    with zone(name):
        result = await redrive(*SEND, given, "--yes")

    assert result.exit_code == 0, result.output
    [request] = server.asked("Send")
    assert request.schedule_time.ToDatetime(tzinfo=UTC) == datetime.fromisoformat(moment)
    assert (note in result.stderr) if note else ("Note:" not in result.stderr)


async def test_every_option_that_takes_a_time_reads_it_the_same_way(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    server.answer("GetMessage", GetMessageResponse(message=Message(id="m1")))
    server.answer("ListFailed", ListFailedResponse())
    server.answer("GetDeliveryReport", GetDeliveryReportResponse())

    with zone("Europe/Berlin"):
        results = [
            await redrive("message", "m1", "--as-of", "2026-03-29T02:30"),
            await redrive("failed", "m1", "--as-of", "2026-03-29T02:30"),
            await redrive("report", "--page", "1", "--from", "2026-03-29T02:30", "--until", "2026-10-25T02:30"),
        ]

    assert all(result.stderr.startswith("Note: --") for result in results)
    [report] = server.asked("GetDeliveryReport")
    skipped = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    times = (server.asked("GetMessage")[0].as_of_time, server.asked("ListFailed")[0].as_of_time, report.start_time)
    assert {time.ToDatetime(tzinfo=UTC) for time in times} == {skipped}
    assert report.end_time.ToDatetime(tzinfo=UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


TIMES = st.datetimes(datetime.fromisoformat("1972-01-01"), datetime.fromisoformat("2037-01-01"))


@given(st.sampled_from(ZONES), TIMES, st.integers(0, 1))
def test_local_times_agree_with_the_time_zone_database(name: str, near: datetime, shift: int) -> None:
    with zone(name):
        for local in (near, *around_changes(ZoneInfo(name), near.year, timedelta(minutes=15 + 30 * shift))):
            found = resolve_local_time(local)
            first, second = (local.replace(tzinfo=ZoneInfo(name), fold=fold).astimezone(UTC) for fold in (0, 1))

            assert found.moment == first
            assert found.is_skipped == (second < first)
            assert found.second == (second if second > first else None)


def around_changes(name: ZoneInfo, year: int, past: timedelta) -> Iterator[datetime]:
    """Yield local times shortly after the old offset and before the new one, for each change in a year."""
    hours = (datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 366))
    before = None
    for hour in hours:
        after = hour.astimezone(name).utcoffset()
        if before is not None and after is not None and after != before:
            yield (hour + before + past).replace(tzinfo=None)
            yield (hour + after - past).replace(tzinfo=None)
        before = after
