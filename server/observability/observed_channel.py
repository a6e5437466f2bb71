"""The channel, observed: how long requests take, and a span for each; neither shows what a message says."""

import time
from collections.abc import Sequence

from server.messenger.channel import Attempted, Channel, Credentials, OutgoingMessage, TokenCheck
from server.observability.metrics import Meters
from server.observability.tracing import Tracing


class ObservedChannel(Channel):
    """See Channel."""

    def __init__(self, channel: Channel, meters: Meters, tracing: Tracing | None) -> None:
        self._channel = channel
        self._tracing = tracing
        self._single = meters.attempt_seconds.labels("single")  # looked up once: a look-up costs as much as the rest
        self._batch = meters.attempt_seconds.labels("batch")

    async def send(self, credentials: Credentials, message: OutgoingMessage) -> Attempted:
        """Sends one message in one request."""
        started = time.perf_counter()
        try:
            return await self._send(credentials, message)
        finally:
            self._single.observe(time.perf_counter() - started)

    async def send_batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> Sequence[Attempted]:
        """Sends up to 50 messages in one request; answers in their order."""
        started = time.perf_counter()
        try:
            return await self._send_batch(credentials, messages)
        finally:
            self._batch.observe(time.perf_counter() - started)

    async def check_token(self, credentials: Credentials) -> TokenCheck:
        """Tries the token with one harmless call."""
        if self._tracing is None:
            return await self._channel.check_token(credentials)
        with self._tracing.checking(credentials.page_id) as came:
            check = await self._channel.check_token(credentials)
            came(type(check).__name__)
            return check

    async def is_page_token(self, credentials: Credentials) -> bool:
        """Return whether the platform confirms that the token is this page's own."""
        if self._tracing is None:
            return await self._channel.is_page_token(credentials)
        with self._tracing.checking(credentials.page_id) as came:
            confirmed = await self._channel.is_page_token(credentials)
            came(f"PageToken{confirmed}")
            return confirmed

    async def _send(self, credentials: Credentials, message: OutgoingMessage) -> Attempted:
        if self._tracing is None:
            return await self._channel.send(credentials, message)
        with self._tracing.sending("send", credentials.page_id, [message]) as came:
            attempted = await self._channel.send(credentials, message)
            came([attempted])
            return attempted

    async def _send_batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> Sequence[Attempted]:
        if self._tracing is None:
            return await self._channel.send_batch(credentials, messages)
        with self._tracing.sending("send_batch", credentials.page_id, messages) as came:
            attempted = await self._channel.send_batch(credentials, messages)
            came(attempted)
            return attempted
