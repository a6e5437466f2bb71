"""A page whose worker fails is retried after growing pauses, and does not fill the log with events."""

from typing import Any

import pytest

from domain.batch_events import BatchStarted
from domain.page_events import PageSettingsChanged
from domain.streams import page_stream
from server.sending import worker_failures
from server.sending.batch_claims import BatchClaimer
from server.sending.rate_limiter import AdaptiveRateLimiter
from server.sending.round_rate_limit import RoundRateLimit
from server.sending.worker_failures import LONGEST_PAUSE, WorkerFailures
from tests.builders import PAGE, crowd, page_settings_changed
from tests.server.sending.service_process import ServiceProcess
from tests.waiting import eventually


def test_each_failure_in_a_row_pauses_the_page_for_longer() -> None:
    broken = WorkerFailures()

    pauses = [broken.add(PAGE)[1] for _ in range(2_000)]

    assert pauses[:8] == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert broken.is_paused(PAGE)
    assert not broken.is_paused("another")


def test_a_success_clears_the_failures_and_a_page_change_only_the_pause() -> None:
    broken = WorkerFailures()
    for _ in range(3):
        broken.add(PAGE)

    broken.end_pause(PAGE)
    assert not broken.is_paused(PAGE)
    assert broken.add(PAGE) == (4, 8)

    assert broken.reset(PAGE) == 4
    assert not broken.is_paused(PAGE)
    assert broken.add(PAGE) == (1, 1)


@pytest.mark.parametrize(
    "broken",
    [(AdaptiveRateLimiter, "acquire"), (AdaptiveRateLimiter, "chunk_size"), (BatchClaimer, "claim")],
    ids=["wait", "chunk", "claim"],
)
async def test_a_failing_page_writes_few_events_and_sends_after_the_repair(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch, broken: tuple[type, str]
) -> None:
    """The fourth attempt comes after seven seconds here, not at every poll."""
    owner, name = broken
    tries: list[str] = []

    def breaks(*_: Any, **__: Any) -> Any:
        tries.append(name)
        raise OverflowError

    with monkeypatch.context() as patched:
        patched.setattr(worker_failures, "FIRST_PAUSE", 0.2)
        patched.setattr(owner, name, breaks)
        message_id = await service.send(crowd(5))
        await eventually(lambda: _count(tries), lambda count: count >= 3)
        started = await service.events(message_id, BatchStarted, 1)
    assert len(tries) <= 4
    assert len(started) <= 4

    await service.put_page(access_token="", pace=1_000.0)  # a change of the page makes the worker retry at once

    assert (await service.done(message_id, within=5.0)).status == "SENT"


async def _count(tries: list[str]) -> int:
    return len(tries)


@pytest.mark.parametrize("pace", [1e-300, 5e-324, 1e-9])
async def test_a_page_stored_with_too_slow_a_pace_sends_after_a_correction(
    service: ServiceProcess, pace: float
) -> None:
    """An earlier release accepted such a pace."""
    stored = await service.log.load(page_stream(PAGE))
    await service.append(page_stream(PAGE), len(stored), page_settings_changed(messages_per_second=pace))
    message_id = await service.send(crowd(10))
    await service.arrived(1)

    await service.put_page(access_token="", pace=1_000.0)

    assert (await service.done(message_id, within=5.0)).status == "SENT"
    assert len(await service.events(message_id, BatchStarted, 1)) == 1
    assert isinstance((await service.log.load(page_stream(PAGE)))[-1], PageSettingsChanged)


async def test_a_round_stored_with_too_slow_a_cap_does_not_block_the_page(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second message would leave after a very long time; the page sends all other messages."""
    monkeypatch.setattr("server.sending.batch_claims.RoundRateLimits.for_batch", lambda *_: _slow_cap())
    capped = await service.send(crowd(3))
    await service.arrived(1)
    monkeypatch.undo()

    assert (await service.done(await service.send(crowd(3, "v")), within=5.0)).status == "SENT"
    assert len(await service.events(capped, BatchStarted, 1)) == 1


def _slow_cap() -> RoundRateLimit:
    return RoundRateLimit(1e-300)
