"""A page's pace in this process, and the effect of the platform's answers."""

import asyncio
import time
from datetime import timedelta

import pytest

from domain.fault import ErrorType, FaultScope, RetryRule
from domain.outcome import Failed, Outcome, Unconfirmed
from server.cluster.page_leases import PagePause
from server.messenger.channel import RateAdvice, SendResult
from server.sending.rate_limiter import AdaptiveRateLimiter
from tests.builders import FAILED_FOR_GOOD, SENT, UNCONFIRMED, fault


def limited(scope: FaultScope = FaultScope.PAGE) -> Failed:
    return Failed(fault(ErrorType.RATE_LIMIT, RetryRule.AUTOMATIC, scope=scope))


def advised(outcome: Outcome = SENT, *, usage: float | None = None, retry_after: float | None = None) -> SendResult:
    wait = None if retry_after is None else timedelta(seconds=retry_after)
    return SendResult(outcome=outcome, advice=RateAdvice(usage=usage, retry_after=wait))


def rate(limiter: AdaptiveRateLimiter) -> float:
    return limiter._rate.rate(time.monotonic())


@pytest.fixture
def halt() -> asyncio.Event:
    return asyncio.Event()


# Waiting


async def test_a_message_with_a_free_token_does_not_wait(halt: asyncio.Event) -> None:
    take = AdaptiveRateLimiter(10.0).acquire(1, halt)

    with pytest.raises(StopIteration) as end:
        take.send(None)

    assert end.value.value is True


async def test_a_limit_that_changes_when_a_wait_ends_causes_no_error(halt: asyncio.Event) -> None:
    loop, limiter = asyncio.get_running_loop(), AdaptiveRateLimiter(10.0)
    waiting = asyncio.create_task(limiter._wait(halt, 0.01))
    await asyncio.sleep(0)  # the wait starts
    busy_until = loop.time() + 0.05
    changed: list[float] = []

    def change() -> None:
        """Change the limit in the same turn of the loop in which the wait ends."""
        limiter.set_limit(20.0)
        changed.append(rate(limiter))

    loop.call_at(busy_until - 0.01, change)

    while loop.time() < busy_until:
        pass

    await waiting
    assert len(changed) == 1


async def test_messages_leave_at_the_pages_pace(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(400.0)
    started = time.monotonic()

    for _ in range(100):
        assert await limiter.acquire(1, halt)

    assert time.monotonic() - started > 0.13  # 100 at 400 per second, with a burst of a tenth of a second


@pytest.mark.parametrize("limit", [5e-324, 1e-300, 1e-9, 0.001])
async def test_a_wait_at_the_slowest_pace_ends_at_once_when_the_limit_is_raised(
    limit: float, halt: asyncio.Event
) -> None:
    """A page of an earlier release may have any pace above 0."""
    limiter = AdaptiveRateLimiter(limit)
    assert await limiter.acquire(50, halt)
    waiting = asyncio.create_task(limiter.acquire(1, halt))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done

    limiter.set_limit(2_000.0)

    async with asyncio.timeout(0.5):
        assert await waiting
        for _ in range(20):
            assert await limiter.acquire(1, halt)
    assert rate(limiter) >= 10.0


async def test_a_wait_ends_at_once_when_a_pause_ends(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(1_000.0)
    limiter.pause_for(3_600.0)
    waiting = asyncio.create_task(limiter.acquire(1, halt))
    await asyncio.wait([waiting], timeout=0.01)

    limiter.resume()

    async with asyncio.timeout(0.5):
        assert await waiting


async def test_take_returns_at_once_if_the_wait_would_exceed_its_limit(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(10.0)
    limiter.pause_for(60.0)
    started = time.monotonic()

    assert not await limiter.acquire(1, halt, within=30.0)

    assert time.monotonic() - started < 5.0


async def test_a_halt_ends_the_wait(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(10.0)
    limiter.pause_for(60.0)
    waiting = asyncio.create_task(limiter.acquire(1, halt))
    await asyncio.sleep(0)

    halt.set()

    assert not await asyncio.wait_for(waiting, 5.0)


async def test_after_a_halt_nothing_leaves(halt: asyncio.Event) -> None:
    halt.set()

    assert not await AdaptiveRateLimiter(10.0).acquire(1, halt)


async def test_a_waiting_message_uses_a_faster_pace_at_once(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(0.01)
    await limiter.acquire(2, halt)
    waiting = asyncio.create_task(limiter.acquire(1, halt))
    await asyncio.sleep(0)

    limiter.set_limit(1_000.0)

    assert await asyncio.wait_for(waiting, 5.0)


async def test_an_answer_allows_the_next_message(halt: asyncio.Event) -> None:
    """40 messages, each answered before the next leaves: one second at the limit, four at the careful pace."""
    limiter = AdaptiveRateLimiter(40.0)
    started = time.monotonic()

    for _ in range(40):
        await limiter.acquire(1, halt)
        limiter.observe_result(SendResult(outcome=SENT))

    assert 0.8 < time.monotonic() - started < 3.0


# Answers of the platform


@pytest.mark.parametrize("scope", [FaultScope.PAGE, FaultScope.APP])
def test_a_rate_limit_of_page_or_app_slows_the_page_down(scope: FaultScope) -> None:
    limiter = AdaptiveRateLimiter(10.0)

    limiter.observe_result(SendResult(outcome=limited(scope)))

    assert rate(limiter) < 10.0


@pytest.mark.parametrize(
    "outcome",
    [
        SENT,
        FAILED_FOR_GOOD,
        UNCONFIRMED,
        limited(FaultScope.RECIPIENT),
        Failed(fault(ErrorType.NETWORK, scope=FaultScope.TRANSPORT)),
        Unconfirmed(fault(ErrorType.NETWORK, scope=FaultScope.TRANSPORT)),
    ],
)
def test_other_errors_do_not_slow_the_page_down(outcome: Outcome) -> None:
    limiter = AdaptiveRateLimiter(10.0)

    limiter.observe_result(SendResult(outcome=outcome))

    assert rate(limiter) == 10.0


@pytest.mark.parametrize(("usage", "is_slowed"), [(0.94, False), (0.95, True), (1.2, True)])
def test_a_nearly_exhausted_quota_slows_the_page_down(usage: float, is_slowed: bool) -> None:
    limiter = AdaptiveRateLimiter(10.0)

    limiter.observe_result(advised(usage=usage))

    assert (rate(limiter) < 10.0) is is_slowed


def test_accepted_messages_speed_the_page_up() -> None:
    limiter = AdaptiveRateLimiter(100.0)
    careful = rate(limiter)

    for _ in range(20):
        limiter.observe_result(SendResult(outcome=SENT))

    assert careful == 10.0
    assert rate(limiter) > 20.0


@pytest.mark.parametrize("outcome", [SENT, limited()])
async def test_nothing_leaves_before_a_retry_after_is_over(halt: asyncio.Event, outcome: Outcome) -> None:
    limiter = AdaptiveRateLimiter(10.0)

    limiter.observe_result(advised(outcome, retry_after=60.0))

    assert not await limiter.acquire(1, halt, within=50.0)
    assert (rate(limiter) < 10.0) is (outcome is not SENT)


def test_many_answers_with_one_pause_report_it_once() -> None:
    reported: list[PagePause] = []
    limiter = AdaptiveRateLimiter(10.0, reported.append)

    for _ in range(10):
        limiter.observe_result(advised(limited(), retry_after=60.0))
    limiter.observe_result(advised(limited(), retry_after=300.0))

    assert [pause.seconds for pause in reported] == [60.0, 300.0]


# Pauses


def reported_pauses(*attempts: SendResult) -> list[PagePause]:
    reported: list[PagePause] = []
    limiter = AdaptiveRateLimiter(10.0, reported.append)
    for attempted in attempts:
        limiter.observe_result(attempted)
    return reported


def test_a_pause_after_a_success_has_the_header_as_its_reason() -> None:
    advice = RateAdvice(retry_after=timedelta(seconds=60), requested_by="Retry-After: 60")

    assert reported_pauses(SendResult(outcome=SENT, advice=advice)) == [
        PagePause(seconds=60.0, reason="Retry-After: 60")
    ]


def test_a_pause_after_a_rate_limit_has_the_error_and_the_header_as_its_reason() -> None:
    advice, outcome = RateAdvice(retry_after=timedelta(seconds=60), requested_by="Retry-After: 60"), limited()

    [pause] = reported_pauses(SendResult(outcome=outcome, advice=advice))

    assert (pause.reason, pause.fault) == (f"{outcome.fault.message} (Retry-After: 60)", outcome.fault)
    assert pause.is_requested


def test_another_error_is_not_the_reason_of_a_pause() -> None:
    advice = RateAdvice(retry_after=timedelta(seconds=60), requested_by="Retry-After: 60")

    [pause] = reported_pauses(SendResult(outcome=FAILED_FOR_GOOD, advice=advice))

    assert (pause.reason, pause.fault) == ("Retry-After: 60", None)


def test_a_single_refusal_slows_a_page_down_and_does_not_pause_it() -> None:
    assert reported_pauses(SendResult(outcome=limited())) == []


async def test_messages_leave_after_a_pause_was_ended(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(10.0)
    limiter.observe_result(advised(retry_after=60.0))
    waiting = asyncio.create_task(limiter.acquire(1, halt))
    await asyncio.sleep(0)

    limiter.resume()

    assert await asyncio.wait_for(waiting, 5.0)


async def test_a_pause_read_before_its_end_is_not_applied_again(halt: asyncio.Event) -> None:
    limiter = AdaptiveRateLimiter(10.0)
    limiter.pause_for(60.0)
    read = time.monotonic()

    limiter.resume()
    limiter.pause_for(60.0, read_at=read)
    assert await limiter.acquire(1, halt, within=1.0)

    limiter.pause_for(60.0, read_at=time.monotonic())
    assert not await limiter.acquire(1, halt, within=1.0)
