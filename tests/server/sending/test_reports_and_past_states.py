"""Reports and past states of a message that was really sent."""

from datetime import datetime, timedelta

from domain.batch_events import OutcomesRecorded
from domain.delivery import DeliveryStatus as S
from domain.message_events import RetryRequested
from projections.delivery_reports import OutcomeCounts, ReportFilter
from projections.message_rows import MessageRow
from server.commands.lookup import require_message
from server.queries.history import History
from server.queries.reports import DeliveryReport, delivery_report
from server.sandbox.control import SandboxControl
from tests.builders import OWNER, PAGE, auto, crowd, people, wall_clock
from tests.server.sending.service_process import ServiceProcess

FAIL_ONCE = {"preset": "temporary", "times": 1}  # a temporary error, once per recipient


async def report(service: ServiceProcess, wanted: ReportFilter) -> DeliveryReport:
    return await service.log.read(delivery_report(wanted, before=None, limit=10))


async def sent_with_failures(service: ServiceProcess, control: SandboxControl) -> str:
    """Send to 150 recipients: Ann is never reached, Bob and Cid at the second attempt."""
    await control.order(
        {**FAIL_ONCE, "recipients": ["bob", "cid"]}, {"preset": "unknown_recipient", "recipients": ["ann"]}
    )
    message_id = await service.send([*people("ann", "bob", "cid"), *crowd(147)], retry_policy=auto())
    await service.done(message_id)
    return message_id


async def test_reports_count_attempts_and_outcomes(service: ServiceProcess, control: SandboxControl) -> None:
    message_id = await sent_with_failures(service, control)

    of_message = await report(service, ReportFilter(owner=OWNER, message_id=message_id))
    of_page = await report(service, ReportFilter(owner=OWNER, page_id=PAGE))

    attempts = {
        1: OutcomeCounts(sent=147, failed=3, unconfirmed=0),
        2: OutcomeCounts(sent=2, failed=0, unconfirmed=0),
    }
    assert of_message.attempts == of_page.attempts == attempts
    assert [(error.error_type, error.deliveries) for error in of_message.errors] == [
        ("NETWORK", 2),
        ("INVALID_RECIPIENT", 1),
    ]
    assert sum(counts.total for counts in of_page.hours.values()) == 152


async def test_a_past_state_between_two_rounds_is_shown(service: ServiceProcess, control: SandboxControl) -> None:
    message_id = await sent_with_failures(service, control)
    history = History(service.log, wall_clock)
    of_both = [await service.events(message_id, OutcomesRecorded, number) for number in (1, 2)]
    first = min(recorded.time for of_one in of_both for recorded in of_one)
    [retried] = [event.time for event in await service.events(message_id, RetryRequested)]

    async def at(time: datetime) -> MessageRow:
        return await history.ask(OWNER, message_id, time, lambda sql: require_message(sql, OWNER, message_id))

    before_any, before_retry, at_last = (
        await at(first - timedelta(microseconds=1)),
        await at(retried - timedelta(microseconds=1)),
        await at(wall_clock()),
    )
    history.close()

    assert (before_any.counts[S.SENT], before_any.open_deliveries) == (0, 150)
    assert (before_retry.round, before_retry.counts[S.SENT], before_retry.counts[S.FAILED]) == (0, 147, 3)
    is_now = await service.row(message_id)
    assert (at_last.counts, at_last.status, at_last.retry_count) == (is_now.counts, is_now.status, 1)
