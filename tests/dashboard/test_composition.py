"""A message that is being composed."""

import gc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.state.backend import Backend
from redrive.dashboard.state.composition import Composition, Schedule, text_problems
from redrive.dashboard.state.compositions import IDLE_SECONDS, Compositions
from redrive.dashboard.state.recipient_file import TextCheck
from redrive.dashboard.widgets.inputs import parse_iso_time
from redrive.v1.content_pb2 import AttachmentType, MessagingType
from tests.waiting import eventually


async def _written(folder: Path) -> Composition:
    composition = Composition("an-id")
    composition.page_id = "shop"
    composition.text = "Hello {{name}}"
    path = folder / "people.csv"
    path.write_text("id,name\n1,Ada\n")
    await composition.load_file(path)
    return composition


async def test_new_composition_lists_what_is_missing() -> None:
    assert list(Composition("an-id").problems()) == [
        "Choose the page that sends.",
        "Choose the recipients: a CSV file without problems.",
        "Write a text, or attach a file.",
    ]


async def test_request_has_the_same_id_each_time(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    assert list(composition.problems()) == []
    assert composition.header().request_id == composition.header().request_id == "an-id"
    assert composition.header(is_dry_run=True).validate_only


async def test_wrong_file_removes_the_recipients_of_the_previous_file(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    bad = tmp_path / "bad.csv"
    bad.write_text("id\n\n1 2\n")
    await composition.load_file(bad)

    assert composition.recipients is None
    assert [(problem.line, problem.column) for problem in composition.csv_problems] == [(3, "id")]


async def test_a_tag_goes_only_with_a_tagged_message(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.messaging_type = MessagingType.MESSAGING_TYPE_MESSAGE_TAG
    assert list(composition.problems()) == ["Choose a tag."]
    composition.tag = "HUMAN_AGENT"
    assert composition.header().content.tag == "HUMAN_AGENT"
    composition.messaging_type = MessagingType.MESSAGING_TYPE_RESPONSE
    assert composition.header().content.tag == ""


async def test_attachment_requires_a_url_and_no_text(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.attachment_type = AttachmentType.ATTACHMENT_TYPE_IMAGE
    assert list(composition.problems()) == [
        "Remove the text or the attachment: the platform accepts only one of them.",
        "Attachment: enter its URL, which begins with https://.",
    ]
    composition.text, composition.attachment_url = "", "https://shop.example/a.png"
    assert list(composition.problems()) == []
    assert composition.header().content.attachment.url == "https://shop.example/a.png"


async def test_url_of_an_attachment_is_checked_with_its_variables(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.text, composition.attachment_type = "", AttachmentType.ATTACHMENT_TYPE_IMAGE
    composition.attachment_url = "{{image}}?of={{name}}"
    assert list(composition.problems()) == []

    check = await composition.check_text()

    assert check is not None
    assert (check.no_column, check.limit) == (["image"], 2_048)


async def test_a_text_of_spaces_is_missing(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    composition.text = " \u00a0\u200b"
    assert list(composition.problems()) == ["Write a text, or attach a file."]


async def test_incomplete_time_is_a_problem(tmp_path: Path) -> None:
    composition = await _written(tmp_path)
    assert not composition.header().HasField("schedule_time")
    composition.schedule = Schedule("?")
    assert list(composition.problems()) == ["Send at: enter a date and a time, or leave it empty."]
    composition.schedule = Schedule("2026-12-24T18:00", datetime(2026, 12, 24, 11, tzinfo=UTC))
    assert composition.header().schedule_time.ToDatetime(tzinfo=UTC) == datetime(2026, 12, 24, 11, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "?", "+020261-12-31T10:30:00.000Z"])
def test_invalid_time_is_none(text: str) -> None:
    assert parse_iso_time(text) is None
    assert parse_iso_time("2026-12-24T11:00:00.000Z") == datetime(2026, 12, 24, 11, tzinfo=UTC)


def test_a_variable_that_the_file_lacks_is_named() -> None:
    check = TextCheck(no_column=["day"])
    assert list(text_problems(check)) == ["The text uses {{day}}, but the file has no column day."]


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
    created = compositions.create(one)

    assert compositions.find(created.id, one) is created
    assert compositions.find(created.id, another) is None
    assert compositions.find("unknown", one) is None
    compositions.close()


async def test_least_recently_used_composition_is_dropped(callers: tuple[Backend, Backend]) -> None:
    one, _ = callers
    compositions = Compositions()
    first, second = compositions.create(one), compositions.create(one)
    for _ in range(998):
        compositions.create(one)
    assert compositions.find(first.id, one) is first
    compositions.create(one)

    assert compositions.find(second.id, one) is None
    assert compositions.find(first.id, one) is first
    compositions.close()


async def test_composition_and_file_are_dropped_after_logout_or_idle_time(
    callers: tuple[Backend, Backend],
) -> None:
    now = 0.0
    compositions = Compositions(clock=lambda: now)

    async def file_bytes() -> int:
        gc.collect()  # a file is deleted with the last reference to it
        return compositions.file_bytes

    for caller in callers:
        path = compositions.new_file()
        path.write_text("id,name\n1,Ada\n")
        await compositions.create(caller).load_file(path)
    size = path.stat().st_size

    await callers[1].close()
    await eventually(file_bytes, lambda left: left == size)
    now += IDLE_SECONDS + 1
    compositions.drop_idle()
    await eventually(file_bytes, lambda left: left == 0)
    compositions.close()


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (None, ""),
        (datetime(2026, 12, 24, 13, tzinfo=UTC), ""),
        (datetime(2026, 12, 24, 11, 59, 30, tzinfo=UTC), ""),
        (datetime(2026, 12, 24, 11, tzinfo=UTC), "The time to send passed 1 h ago."),
    ],
)
def test_passed_schedule_time_is_reported(time: datetime | None, words: str) -> None:
    composition = Composition("c1")
    composition.schedule = Schedule("typed", time)

    assert composition.schedule_passed(datetime(2026, 12, 24, 12, tzinfo=UTC)) == words
