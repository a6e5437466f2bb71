"""A token that expires during a send: the page is held with a reason, and a new token releases it."""

from pathlib import Path

from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.error_pb2 import ErrorType
from tests.e2e.campaign import put_page, recipients, send_request, watch_until_done
from tests.e2e.processes import SandboxProcess, client_of, running_server


async def test_a_hold_for_an_expired_token_is_shown_to_watchers_and_survives_a_restart(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    await sandbox.control.order({"preset": "expired_token"})
    async with running_server(tmp_path, sandbox.graph_url) as server:
        async with client_of(server) as client:
            await put_page(client, rate=300)
            message = (await client.send(send_request(recipients(500)))).message
            async for answer in client.watch_progress(message.id):
                if answer.progress.HasField("page_hold"):
                    break
            assert answer.progress.page_hold.error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN
        await server.kill()
        await server.start()
        async with client_of(server) as client:
            [listed] = [one async for one in client.list_messages()]
            assert listed.page_hold.error_code == 190
            failed = len((await sandbox.control.received(limit=1_000)).arrivals)
            assert failed <= 100

            await put_page(client, rate=300, token="EAAG-another-token-0123456789")
            await watch_until_done(client, message.id)
            resent = await client.resend(ResendRequest(message_id=message.id))
            progress = await watch_until_done(client, message.id)
    assert 0 < resent.recipients_to_retry <= failed
    assert progress.counts.sent == 500
