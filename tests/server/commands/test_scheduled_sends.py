"""Messages that are accepted now and sent later."""

import msgspec
import pytest

from domain.errors import RequestIdReused
from projections.sql import micros
from tests.builders import after, cron, each, people, send_message
from tests.server.commands.command_harness import CommandHarness


async def test_a_scheduled_message_is_accepted_now(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann", "bob"), schedule_time=after(3_600))

    row = await harness.row(message_id)
    assert (row.status, row.schedule_time, row.total) == ("PENDING", micros(after(3_600)), 2)


async def test_a_dry_run_shows_the_time_and_the_schedule(harness: CommandHarness) -> None:
    command = send_message(schedule_time=after(60), retry_policy=cron(3, each(60)), validate_only=True)

    answer = await harness.sends.send(command, people("ann"))

    assert answer.message.schedule_time == micros(after(60))
    assert answer.message.retry_policy == cron(3, each(60))


async def test_a_scheduled_stream_is_accepted_with_its_last_part(harness: CommandHarness) -> None:
    stream = await harness.streams.open(send_message(schedule_time=after(60), retry_policy=cron(3, each(60))))
    await stream.add(people("ann", "bob"))

    row = (await stream.submit()).message

    assert (row.schedule_time, row.retry_policy) == (micros(after(60)), cron(3, each(60)))


async def test_another_time_or_schedule_is_another_request(harness: CommandHarness) -> None:
    first = send_message(request_id="r-1", schedule_time=after(60), retry_policy=cron(3, each(60)))
    answer = await harness.sends.send(first, people("ann"))
    assert await harness.sends.send(first, people("ann")) == answer

    for other in ({"schedule_time": after(61)}, {"schedule_time": None}, {"retry_policy": cron(3)}):
        with pytest.raises(RequestIdReused):
            await harness.sends.send(msgspec.structs.replace(first, **other), people("ann"))
