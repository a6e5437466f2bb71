"""The channel, observed: the duration of requests, and a span for each, without the text of messages."""

import time
from collections.abc import Sequence

from server.messenger.channel import Channel, OutgoingMessage, PageCredentials, SendResult, TokenCheck
from server.observability.metrics import Metrics
from server.observability.tracing import Tracing


class ObservedChannel(Channel):
    """A Channel that measures and traces another one."""

    def __init__(self, channel: Channel, metrics: Metrics, tracing: Tracing | None) -> None:
        self._channel = channel
        self._tracing = tracing
        self._single = metrics.attempt_seconds.labels("single")  # looked up once, because a look-up doubles the cost
        self._batch = metrics.attempt_seconds.labels("batch")

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        """Send one message in one request."""
        started = time.perf_counter()
        try:
            return await self._send(credentials, message)
        finally:
            self._single.observe(time.perf_counter() - started)

    async def send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        """Send up to 50 messages in one request; return the results in their order."""
        started = time.perf_counter()
        try:
            return await self._send_batch(credentials, messages)
        finally:
            self._batch.observe(time.perf_counter() - started)

    async def check_token(self, credentials: PageCredentials) -> TokenCheck:
        """Try the token with one harmless call."""
        if self._tracing is None:
            return await self._channel.check_token(credentials)
        with self._tracing.checking(credentials.page_id) as finish:
            check = await self._channel.check_token(credentials)
            finish(type(check).__name__)
            return check

    async def is_page_token(self, credentials: PageCredentials) -> bool:
        """Return whether the platform confirms that the token is this page's own."""
        if self._tracing is None:
            return await self._channel.is_page_token(credentials)
        with self._tracing.checking(credentials.page_id) as finish:
            confirmed = await self._channel.is_page_token(credentials)
            finish(f"PageToken{confirmed}")
            return confirmed

    async def _send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        if self._tracing is None:
            return await self._channel.send(credentials, message)
        with self._tracing.sending("send", credentials.page_id, [message]) as finish:
            attempted = await self._channel.send(credentials, message)
            finish([attempted])
            return attempted

    async def _send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        if self._tracing is None:
            return await self._channel.send_batch(credentials, messages)
        with self._tracing.sending("send_batch", credentials.page_id, messages) as finish:
            attempted = await self._channel.send_batch(credentials, messages)
            finish(attempted)
            return attempted
