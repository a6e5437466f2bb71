"""A message while it is written."""

import gc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from redrive.dashboard.backend import Backend
from redrive.dashboard.composition import Composition, Schedule, text_gaps
from redrive.dashboard.compositions import IDLE_SECONDS, Compositions
from redrive.dashboard.entries import moment_of
from redrive.dashboard.recipient_file import TextCheck
from redrive.dashboard.settings import DashboardSettings
from redrive.v1.content_pb2 import AttachmentType, MessagingType
from tests.waiting import eventually


async def _written(folder: Path) -> Composition:
    composition = Composition("an-id")
    composition.page_id = "shop"
    composition.text = "Hello {{name}}"
    path = folder / "people.csv"
    path.write_text("id,name\n1,Ada\n")
    await composition.take_file(path)
    return composition


async def test_a_new_one_says_all_that_is_missing() -> None:
    assert list(Composition("an-id").gaps()) == [
        "Choose the page that sends.",
        "Give the recipients: a CSV file without problems.",
        "Write a text, or attach a file.",
    ]


async def test_the_request_carries_the_same_id_each_time(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    assert list(composition.gaps()) == []
    assert composition.header().request_id == composition.header().request_id == "an-id"
    assert composition.header(is_dry_run=True).validate_only


async def test_a_bad_file_leaves_nobody_of_the_file_before(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    bad = tmp_path / "bad.csv"
    bad.write_text("id\n\n1 2\n")
    await composition.take_file(bad)

    assert composition.recipients is None
    assert [(problem.line, problem.column) for problem in composition.csv_problems] == [(3, "id")]


async def test_a_tag_goes_only_with_a_tagged_message(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.messaging_type = MessagingType.MESSAGING_TYPE_MESSAGE_TAG
    assert list(composition.gaps()) == ["Choose the tag."]
    composition.tag = "HUMAN_AGENT"
    assert composition.header().content.tag == "HUMAN_AGENT"
    composition.messaging_type = MessagingType.MESSAGING_TYPE_RESPONSE
    assert composition.header().content.tag == ""


async def test_an_attachment_needs_its_address_and_takes_no_text(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.attachment_type = AttachmentType.ATTACHMENT_TYPE_IMAGE
    assert list(composition.gaps()) == [
        "Leave the text empty, or attach nothing: the platform takes one or the other.",
        "The attachment: give its address, which begins with https://.",
    ]
    composition.text, composition.attachment_url = "", "https://shop.example/a.png"
    assert list(composition.gaps()) == []
    assert composition.header().content.attachment.url == "https://shop.example/a.png"


async def test_the_address_of_an_attachment_is_checked_with_its_variables(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.text, composition.attachment_type = "", AttachmentType.ATTACHMENT_TYPE_IMAGE
    composition.attachment_url = "{{image}}?of={{name}}"
    assert list(composition.gaps()) == []

    check = await composition.check_text()

    assert check is not None
    assert (check.no_column, check.limit) == (["image"], 2_048)


async def test_a_text_of_spaces_is_missing(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.text = " \u00a0\u200b"
    assert list(composition.gaps()) == ["Write a text, or attach a file."]


async def test_half_a_time_is_not_at_once(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    assert not composition.header().HasField("schedule_time")
    composition.schedule = Schedule("?")
    assert list(composition.gaps()) == ["The time to send at: give a day and a time, or leave it empty."]
    composition.schedule = Schedule("2026-12-24T18:00", datetime(2026, 12, 24, 11, tzinfo=UTC))
    assert composition.header().schedule_time.ToDatetime(tzinfo=UTC) == datetime(2026, 12, 24, 11, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "?", "+020261-12-31T10:30:00.000Z"])
def test_what_is_no_time_that_can_be_sent_at_is_none(text: str) -> None:
    assert moment_of(text) is None
    assert moment_of("2026-12-24T11:00:00.000Z") == datetime(2026, 12, 24, 11, tzinfo=UTC)


def test_a_variable_that_the_file_lacks_is_named() -> None:
    check = TextCheck(no_column=["day"])
    assert list(text_gaps(check)) == ["The text says {{day}}, and the file has no column day."]


@pytest.fixture
async def callers() -> AsyncIterator[tuple[Backend, Backend]]:
    settings = DashboardSettings(server="127.0.0.1:1")
    one, another = Backend(settings, None), Backend(settings, "token")
    yield one, another
    await one.close()
    await another.close()


async def test_a_composition_is_found_by_its_own_caller_only(callers: tuple[Backend, Backend]) -> None:
    one, another = callers
    compositions = Compositions()
    begun = compositions.begin(one)

    assert compositions.find(begun.id, one) is begun
    assert compositions.find(begun.id, another) is None
    assert compositions.find("unknown", one) is None
    compositions.close()


async def test_of_too_many_the_one_not_looked_at_for_longest_goes(callers: tuple[Backend, Backend]) -> None:
    one, _ = callers
    compositions = Compositions()
    first, second = compositions.begin(one), compositions.begin(one)
    for _ in range(998):
        compositions.begin(one)
    assert compositions.find(first.id, one) is first
    compositions.begin(one)

    assert compositions.find(second.id, one) is None
    assert compositions.find(first.id, one) is first
    compositions.close()


async def test_a_composition_goes_with_its_file_when_its_caller_logs_out_or_stays_away(
    callers: tuple[Backend, Backend],
) -> None:
    now = 0.0
    compositions = Compositions(clock=lambda: now)

    async def file_bytes() -> int:
        gc.collect()  # a file goes with the last that knows of it
        return compositions.file_bytes

    for caller in callers:
        path = compositions.new_file()
        path.write_text("id,name\n1,Ada\n")
        await compositions.begin(caller).take_file(path)
    size = path.stat().st_size

    await callers[1].close()
    await eventually(file_bytes, lambda left: left == size)
    now += IDLE_SECONDS + 1
    compositions.drop_old()
    await eventually(file_bytes, lambda left: left == 0)
    compositions.close()


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (None, ""),
        (datetime(2026, 12, 24, 13, tzinfo=UTC), ""),
        (datetime(2026, 12, 24, 11, 59, 30, tzinfo=UTC), ""),
        (datetime(2026, 12, 24, 11, tzinfo=UTC), "The time to send at passed 1 h ago."),
    ],
)
def test_a_time_to_send_at_that_has_passed_is_named(time: datetime | None, words: str) -> None:
    composition = Composition("c1")
    composition.schedule = Schedule("typed", time)

    assert composition.schedule_passed(datetime(2026, 12, 24, 12, tzinfo=UTC)) == words
