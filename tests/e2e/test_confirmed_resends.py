"""A manual resend starts only the recipients in its answer, on two processes with PostgreSQL and after a kill."""

import pytest

from redrive import Client
from redrive.v1.message_pb2 import Message, MessageStatus, RetryType
from redrive.v1.resend_pb2 import Canary, CanaryState, ResendRequest, RetryRound, RetryTrigger
from tests.e2e.campaign import assert_no_duplicates, put_page, recipients, send_request, watch_until_done
from tests.e2e.processes import SandboxProcess, ServerProcess, client_of
from tests.waiting import eventually

AUTO = RetryType.RETRY_TYPE_AUTO
MANUAL_ROUND, AUTO_ROUND = RetryTrigger.RETRY_TRIGGER_MANUAL, RetryTrigger.RETRY_TRIGGER_AUTO
PARTLY, SENT = MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT, MessageStatus.MESSAGE_STATUS_SENT


@pytest.fixture
def servers(two_servers: tuple[ServerProcess, ServerProcess]) -> tuple[ServerProcess, ServerProcess]:
    return two_servers


async def sent_with_a_dead_token(client: Client, prefix: str) -> Message:
    """Send an AUTO message; all 50 recipients fail and the page is on hold, so only the reconciler can finish it."""
    message = (await client.send(send_request(recipients(50, prefix), retry=AUTO))).message
    return await eventually(
        lambda: client.get_message(message.id),
        lambda found: found.HasField("page_hold") and found.counts.failed == 50,
        within=30,
    )


async def rounds(client: Client, message_id: str) -> list[RetryRound]:
    """Return the message's rounds, oldest first."""
    return [one async for one in client.list_retries(message_id)][::-1]


async def test_automatic_rounds_are_limited_to_the_confirmed_recipients(
    servers: tuple[ServerProcess, ServerProcess], sandbox: SandboxProcess
) -> None:
    async with client_of(servers[0]) as one, client_of(servers[1]) as two:
        await put_page(one)
        await sandbox.control.order({"preset": "expired_token"})
        message = await sent_with_a_dead_token(one, "u")
        await two.resend(ResendRequest(message_id=message.id, recipient_ids=["u0", "u1", "u2"]))

        await put_page(one, token="EAAG-another-token-0123456789")
        limited = await watch_until_done(two, message.id)

        assert (limited.counts.sent, limited.counts.failed, limited.status) == (3, 47, PARTLY)
        assert [one.trigger for one in await rounds(two, message.id)] == [MANUAL_ROUND]

        await sandbox.control.order({"preset": "temporary", "times": 1})
        await two.resend(ResendRequest(message_id=message.id, canary=Canary(recipients=1)))
        stopped = await watch_until_done(one, message.id)

        assert stopped.automatic_rounds_suspended
        assert (stopped.counts.failed, stopped.status) == (47, PARTLY)
        assert (await rounds(one, message.id))[-1].canary_state == CanaryState.CANARY_STATE_STOPPED

        # A server runs the reconciler when it starts.
        await servers[0].kill()
        await servers[0].start()
        other = (await two.send(send_request(recipients(5, "v"), retry=AUTO))).message
        await watch_until_done(two, other.id)
        assert not (await two.run_scheduled_retries()).results
        suspended = await two.get_message(message.id)
        assert (suspended.automatic_rounds_suspended, suspended.counts.failed) == (True, 47)

        resumed = await two.resume_message(message.id)
        assert not resumed.automatic_rounds_suspended
        await eventually(lambda: two.get_message(message.id), lambda found: found.status == SENT, within=30)

        assert {one.trigger for one in (await rounds(two, message.id))[2:]} == {AUTO_ROUND}
        await assert_no_duplicates(sandbox)
