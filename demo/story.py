"""A send that goes partly wrong, and is put right."""

from collections.abc import Sequence

from rich.console import Console

from demo import screen
from demo.books import discrepancies
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


class Story:
    """Says on the console what it does; `platform` is the stand-in for the real one."""

    def __init__(self, client: Client, platform: SandboxControl, console: Console) -> None:
        self._client = client
        self._platform = platform
        self._console = console

    async def tell(self, people: Sequence[Person]) -> bool:
        """From the first message to the balanced books; answers whether they balance."""
        await self._platform.order(*fault_orders(people, _FIRST_TOKEN))
        await self._put_page(_FIRST_TOKEN)
        message_id = await self._send(people)
        await self._show_failures(message_id)
        await self._replace_token()
        await self._resend(message_id)
        return await self._close_books(message_id)

    async def _send(self, people: Sequence[Person]) -> str:
        self._say(f"Sending to {len(people):,} people, {_MESSAGES_PER_SECOND} a second")
        recipients = [Recipient(id=person.id, name=person.name, variables={"city": person.city}) for person in people]
        request = SendRequest(page_id=_PAGE, title="We open again", content=Content(text=_TEXT), recipients=recipients)
        message = (await self._client.send(request)).message
        await screen.watch(self._client, self._console, message.id)
        return message.id

    async def _show_failures(self, message_id: str) -> None:
        failed = await self._client.list_failed(message_id).page()
        self._say(f"{failed.stats.failed} of {failed.stats.total:,} failed")
        self._console.print(screen.failures(failed.error_type_counts, failed.failed_recipients))

    async def _replace_token(self) -> None:
        self._say("The page's token has expired: giving it a new one")
        await self._put_page(_SECOND_TOKEN)

    async def _resend(self, message_id: str) -> None:
        request = ResendRequest(message_id=message_id, error_types=[ErrorType.ERROR_TYPE_ACCESS_TOKEN])
        resend = await self._client.resend(request)
        self._say(f"Resending to the {resend.recipients_to_retry} people whom the old token failed")
        await screen.watch(self._client, self._console, message_id)

    async def _close_books(self, message_id: str) -> bool:
        counts = (await self._client.get_message(message_id)).counts
        self._say("The books")
        self._console.print(screen.books(counts))
        wrong = discrepancies(counts, await self._platform.summary())
        for line in wrong:
            self._console.print(line, style="bold red")
        if not wrong:
            self._console.print("They balance, and by the platform's own record nobody got the message twice.")
        return not wrong

    async def _put_page(self, token: str) -> None:
        request = PutPageRequest(
            page_id=_PAGE, name="Demo", access_token=token, messages_per_second=_MESSAGES_PER_SECOND
        )
        await self._client.put_page(request)

    def _say(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}")
