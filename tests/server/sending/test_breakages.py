"""A page whose worker breaks: it is tried again after a pause that grows, and costs the log no event a second."""

from typing import Any

import pytest

from domain.batch_events import BatchStarted
from domain.page_events import PageSettingsChanged
from domain.streams import page_stream
from server.sending import dispatcher
from server.sending.dispatcher import LONGEST_PAUSE, Breakages
from server.sending.page_worker import PageWorker
from server.sending.rate_limiter import AdaptiveRateLimiter
from server.sending.round_rate_limit import RoundRateLimit
from tests.builders import PAGE, crowd, page_settings_changed
from tests.server.sending.works import Works
from tests.waiting import eventually


def test_each_failure_in_a_row_pauses_the_page_for_longer() -> None:
    broken = Breakages()

    pauses = [broken.add(PAGE)[1] for _ in range(2_000)]

    assert pauses[:8] == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert broken.is_paused(PAGE)
    assert not broken.is_paused("another")


def test_a_success_forgets_the_failures_and_a_change_of_the_page_only_the_pause() -> None:
    broken = Breakages()
    for _ in range(3):
        broken.add(PAGE)

    broken.try_now(PAGE)
    assert not broken.is_paused(PAGE)
    assert broken.add(PAGE) == (4, 8)

    assert broken.forget(PAGE) == 4
    assert not broken.is_paused(PAGE)
    assert broken.add(PAGE) == (1, 1)


@pytest.mark.parametrize(
    "broken",
    [(AdaptiveRateLimiter, "take"), (AdaptiveRateLimiter, "chunk"), (PageWorker, "_begin")],
    ids=["wait", "chunk", "claim"],
)
async def test_a_page_that_breaks_writes_few_events_and_sends_once_it_is_mended(
    works: Works, monkeypatch: pytest.MonkeyPatch, broken: tuple[type, str]
) -> None:
    """The fourth try comes after seven seconds here, instead of at every look for work."""
    owner, name = broken
    tries: list[str] = []

    def breaks(*_: Any, **__: Any) -> Any:
        tries.append(name)
        raise OverflowError

    with monkeypatch.context() as patched:
        patched.setattr(dispatcher, "FIRST_PAUSE", 0.2)
        patched.setattr(owner, name, breaks)
        message_id = await works.send(crowd(5))
        await eventually(lambda: _count(tries), lambda count: count >= 3)
        started = await works.events(message_id, BatchStarted, 1)
    assert len(tries) <= 4
    assert len(started) <= 4

    await works.put_page(access_token="", pace=1_000.0)  # what a person does: it is tried again at once

    assert (await works.done(message_id, within=5.0)).status == "SENT"


async def _count(tries: list[str]) -> int:
    return len(tries)


@pytest.mark.parametrize("pace", [1e-300, 5e-324, 1e-9])
async def test_a_page_that_was_stored_with_too_slow_a_pace_works_once_it_is_set_right(
    works: Works, pace: float
) -> None:
    """As a release before accepted it."""
    stored = await works.log.load(page_stream(PAGE))
    await works.append(page_stream(PAGE), len(stored), page_settings_changed(messages_per_second=pace))
    message_id = await works.send(crowd(10))
    await works.arrived(1)

    await works.put_page(access_token="", pace=1_000.0)

    assert (await works.done(message_id, within=5.0)).status == "SENT"
    assert len(await works.events(message_id, BatchStarted, 1)) == 1
    assert isinstance((await works.log.load(page_stream(PAGE)))[-1], PageSettingsChanged)


async def test_a_round_that_was_stored_with_too_slow_a_cap_breaks_nothing(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second message would leave after ages; the page goes on with everything else."""
    monkeypatch.setattr("server.sending.page_worker.RoundRateLimits.of", lambda *_: _slow_cap())
    capped = await works.send(crowd(3))
    await works.arrived(1)
    monkeypatch.undo()

    assert (await works.done(await works.send(crowd(3, "v")), within=5.0)).status == "SENT"
    assert len(await works.events(capped, BatchStarted, 1)) == 1


def _slow_cap() -> RoundRateLimit:
    return RoundRateLimit(1e-300)
