"""A channel to a scripted platform: in memory (respx), or a faulty server on a real port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
import respx

from domain.content import Content
from server.messenger.channel import OutgoingMessage, PageCredentials
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel

GRAPH_URL = "https://graph.facebook.com/v25.0"

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Conversation], AbstractAsyncContextManager[str]]


@pytest.fixture
def credentials() -> PageCredentials:
    return PageCredentials(page_id="1001", access_token="EAAGsecrettoken0123456789", app_secret="appsecret42")


@pytest.fixture
def message() -> OutgoingMessage:
    return OutgoingMessage(delivery_id="d-1", recipient_id="psid-1", content=Content(text="Dear Ann, hello"))


@pytest.fixture
def graph() -> respx.MockRouter:
    return respx.MockRouter(base_url="https://graph.facebook.com", assert_all_called=False)


@pytest.fixture
def channel(graph: respx.MockRouter) -> MessengerChannel:
    """Return a channel whose platform is the `graph` router."""
    return MessengerChannel(httpx.MockTransport(graph.async_handler), GRAPH_URL)


@pytest.fixture
async def real_channel() -> AsyncIterator[Callable[[str], MessengerChannel]]:
    """Return a factory of channels with the real client and short timeouts."""
    async with open_client(timeout=httpx.Timeout(connect=0.3, read=0.3, write=1.0, pool=1.0)) as client:
        yield lambda url: MessengerChannel(client, f"{url}/v25.0")


@pytest.fixture
def serve() -> Serve:
    """Serve every connection with this conversation; yield the server's address."""

    @asynccontextmanager
    async def serving(conversation: Conversation) -> AsyncIterator[str]:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await conversation(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client closed first
            finally:
                writer.close()

        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    return serving
