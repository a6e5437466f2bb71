"""The demo's steps: send, show the failures, replace the token, resend one error type, check the counts."""

from collections.abc import Sequence

from rich.console import Console

from demo import screen
from demo.count_checks import discrepancies
from demo.faults import fault_orders
from demo.recipients import Person
from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import ResendRequest, SendRequest
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.page_service_pb2 import PutPageRequest
from server.sandbox.control import SandboxControl

_PAGE = "demo-page"
_FIRST_TOKEN, _SECOND_TOKEN = "first-demo-token", "second-demo-token"
_MESSAGES_PER_SECOND = 100
_TEXT = "Hello {{name}}, our shop in {{city}} opens again on Saturday at nine. See you there!"


class Walkthrough:
    """Runs the demo against a server and prints each step; `platform` controls the sandbox."""

    def __init__(self, client: Client, platform: SandboxControl, console: Console) -> None:
        self._client = client
        self._platform = platform
        self._console = console

    async def run(self, people: Sequence[Person]) -> bool:
        """Run all steps, and return whether the counts are right at the end."""
        await self._platform.order(*fault_orders(people, _FIRST_TOKEN))
        await self._put_page(_FIRST_TOKEN)
        message_id = await self._send(people)
        await self._show_failures(message_id)
        await self._replace_token()
        await self._resend_token_failures(message_id)
        return await self._check_counts(message_id)

    async def _send(self, people: Sequence[Person]) -> str:
        self._say(f"Sending to {len(people):,} recipients at {_MESSAGES_PER_SECOND} messages per second")
        recipients = [Recipient(id=person.id, name=person.name, variables={"city": person.city}) for person in people]
        request = SendRequest(page_id=_PAGE, title="We open again", content=Content(text=_TEXT), recipients=recipients)
        message = (await self._client.send(request)).message
        await screen.watch(self._client, self._console, message.id)
        return message.id

    async def _show_failures(self, message_id: str) -> None:
        failed = await self._client.list_failed(message_id).page()
        self._say(f"{failed.stats.failed} of {failed.stats.total:,} recipients failed")
        self._console.print(screen.failures_table(failed.error_type_counts, failed.failed_recipients))

    async def _replace_token(self) -> None:
        self._say("Replacing the page's expired access token")
        await self._put_page(_SECOND_TOKEN)

    async def _resend_token_failures(self, message_id: str) -> None:
        request = ResendRequest(message_id=message_id, error_types=[ErrorType.ERROR_TYPE_ACCESS_TOKEN])
        resend = await self._client.resend(request)
        self._say(f"Resending to the {resend.recipients_to_retry} recipients that failed with ACCESS_TOKEN")
        await screen.watch(self._client, self._console, message_id)

    async def _check_counts(self, message_id: str) -> bool:
        counts = (await self._client.get_message(message_id)).counts
        self._say("Checking the counts")
        self._console.print(screen.counts_table(counts))
        wrong = discrepancies(counts, await self._platform.summary())
        for line in wrong:
            self._console.print(line, style="bold red")
        if not wrong:
            self._console.print("The counts add up. By the sandbox's record, no recipient received the message twice.")
        return not wrong

    async def _put_page(self, token: str) -> None:
        request = PutPageRequest(
            page_id=_PAGE, name="Demo", access_token=token, messages_per_second=_MESSAGES_PER_SECOND
        )
        await self._client.put_page(request)

    def _say(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}")
