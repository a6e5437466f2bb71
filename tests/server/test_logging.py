"""Log lines: JSON with event and ids; exceptions with types and locations, without their texts."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from server.main import cli
from server.observability.logging import configure, log_lost_exceptions

SECRET = "EAAG-in-an-exception"


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def broken() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise LookupError(f"cannot use {SECRET}") from error


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    text = capsys.readouterr().err
    assert SECRET not in text
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_json_with_an_event_ids_a_level_and_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")

    structlog.get_logger().info("page_held", page="1001")
    structlog.get_logger().debug("not at this level")

    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "page_held", "level": "info", "page": "1001"}


def test_an_exception_has_types_and_locations_but_not_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        broken()
    except LookupError:
        structlog.get_logger().exception("batch_broke", batch=1)

    (line,) = lines(capsys)
    assert [one["type"] for one in line["exception"]] == ["builtins.LookupError", "builtins.ValueError"]
    assert line["exception"][0]["frames"][-1].endswith(" broken")


def test_library_logs_are_json_without_their_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    logging.getLogger("some.library").warning("could not use %s", SECRET)
    logging.getLogger("some.library").info("of no interest")

    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["words"]) == ("library_told", "some.library", "could not use %s")


async def test_unhandled_exceptions_are_logged_without_their_texts(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log_lost_exceptions(asyncio.get_running_loop())

    asyncio.get_running_loop().call_soon(broken)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    (line,) = lines(capsys)
    assert (line["event"], line["exception"][0]["type"]) == ("exception_lost", "builtins.LookupError")


def test_logs_can_be_lines_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")
    try:
        broken()
    except LookupError:
        structlog.get_logger().exception("batch_broke", batch=1)

    text = capsys.readouterr().err
    assert not text.startswith("{")
    assert "batch_broke" in text
    assert "builtins.LookupError" in text
    assert SECRET not in text


def test_a_service_that_fails_ends_with_a_json_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: object) -> None:
        broken()

    monkeypatch.setattr("server.main.serve", breaks)

    with pytest.raises(SystemExit) as ended:
        cli([])

    (line,) = lines(capsys)
    assert (ended.value.code, line["event"], line["exception"][0]["type"]) == (
        1,
        "service_broke",
        "builtins.LookupError",
    )
