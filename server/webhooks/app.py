"""The webhook endpoint as a web application: GET verifies a subscription, POST delivers events.

The platform repeats a request that is not answered with 200, waits up to 20 seconds for an answer, and unsubscribes an
endpoint that keeps failing (its technical FAQ). The endpoint answers 200 once all receipts are durable, and 503 to make
the platform repeat the request.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
from aiohttp import hdrs, web

from redrive import RedriveError
from server.webhooks.events import UnreadableError, read_body
from server.webhooks.feeder import Feeder
from server.webhooks.refusals import QuietResponse, RefusalLog
from server.webhooks.signatures import SIGNATURE_HEADER, WebhookSecrets, is_signature

logger = structlog.get_logger()

PATH = "/webhooks"
MAX_BODY = 2**20  # bytes
MAX_IN_FLIGHT = 16 * 2**20  # bytes of all bodies that are being read or recorded
MAX_TARGET = 1_024  # characters of path and query: a verification request brings about 150
BODY_SECONDS = 10.0  # to receive a body
_NOT_ENCODED = frozenset(["", "identity"])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """A request is refused: the cause is logged, and the caller receives the status."""

    def __init__(self, cause: str, status: int) -> None:
        super().__init__(cause)
        self.cause = cause
        self.status = status


def create_app(secrets: WebhookSecrets, feeder: Feeder, refusals: RefusalLog) -> web.Application:
    """Return an endpoint without a port."""
    endpoint = _Endpoint(secrets, feeder, refusals)
    app = web.Application(middlewares=[endpoint.quiet])
    app.on_response_prepare.append(_without_versions)
    app.cleanup_ctx.append(endpoint.feeding)
    app.add_routes([web.get(PATH, endpoint.verify, allow_head=False), web.post(PATH, endpoint.receive)])
    return app


async def _without_versions(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall(hdrs.SERVER, None)


class _BodyMemory:
    """Limits the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self._bytes = 0

    @contextmanager
    def held(self, body: bytearray) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that adds a part to a body; it raises RefusedError beyond a limit."""

        def add(part: bytes) -> None:
            if len(body) + len(part) > MAX_BODY:
                raise RefusedError("body_too_large", 413)
            if self._bytes + len(part) > MAX_IN_FLIGHT:
                raise RefusedError("too_many_bodies", 503)
            self._bytes += len(part)
            body.extend(part)

        try:
            yield add
        finally:
            self._bytes -= len(body)


class _Endpoint:
    def __init__(self, secrets: WebhookSecrets, feeder: Feeder, refusals: RefusalLog) -> None:
        self._secrets = secrets
        self._feeder = feeder
        self._refusals = refusals
        self._memory = _BodyMemory()

    async def feeding(self, _app: web.Application) -> AsyncIterator[None]:
        """Run the feeder while the application runs."""
        task = asyncio.create_task(self._feeder.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    @web.middleware
    async def quiet(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer one request and close the connection; refusals and errors get an empty answer without a cause."""
        try:
            _check_target(request)
            response = await handler(request)
        except RefusedError as refusal:
            response = self._refused(refusal.cause, refusal.status)
        except web.HTTPException as error:
            response = self._refused("no_such_path_or_method", error.status)
        except Exception as error:  # noqa: BLE001 - its text may hold what the caller sent
            logger.error("webhook_broke", error=type(error).__name__)  # noqa: TRY400
            response = QuietResponse(status=500)
        response.force_close()
        return response

    def _refused(self, cause: str, status: int) -> web.Response:
        self._refusals.add(cause, status)
        headers = {hdrs.ALLOW: "GET, POST"} if status == web.HTTPMethodNotAllowed.status_code else None
        return QuietResponse(status=status, headers=headers)

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Answer the platform's verification of a subscription."""
        query = request.query
        if not self._secrets.is_subscription(query.get("hub.mode", ""), query.get("hub.verify_token", "")):
            raise RefusedError("verify_token", 403)
        return QuietResponse(text=query.get("hub.challenge", ""))  # as plain text

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Receive events; a request whose header is refused is answered without reading its body."""
        signature = request.headers.get(SIGNATURE_HEADER, "")
        _check_head(request, signature)
        body = bytearray()
        with self._memory.held(body) as add:
            await _read(request, add)
            if not self._secrets.is_genuine(body, signature):
                raise RefusedError("signature", 403)
            return await self._take(bytes(body))

    async def _take(self, body: bytes) -> web.Response:
        try:
            reading = read_body(body, received=time.time_ns() // 1_000_000)
        except UnreadableError:
            raise RefusedError("unreadable", 400) from None
        if reading.unparsed:
            logger.warning("webhook_parts_not_understood", parts=dict(reading.unparsed))
        try:
            if reading.receipts:
                await self._feeder.feed(reading.receipts)
        except RedriveError as error:
            logger.warning("receipts_not_recorded", code=error.code.name, reason=error.reason, **_remedy(error))
            return QuietResponse(status=503)
        return QuietResponse()


def _check_target(request: web.Request) -> None:
    if len(request.raw_path) > MAX_TARGET:
        raise RefusedError("target_too_long", 414)


def _check_head(request: web.Request, signature: str) -> None:
    encodings = [value.strip().lower() for value in request.headers.getall(hdrs.CONTENT_ENCODING, [])]
    if not _NOT_ENCODED.issuperset(encodings):
        raise RefusedError("content_encoding", 415)
    if (request.content_length or 0) > MAX_BODY:
        raise RefusedError("body_too_large", 413)
    if not is_signature(signature):
        raise RefusedError("no_signature", 403)


async def _read(request: web.Request, add: Callable[[bytes], None]) -> None:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                add(part)
    except TimeoutError:
        raise RefusedError("slow_body", 408) from None
    except (web.RequestPayloadError, ValueError):
        raise RefusedError("unreadable", 400) from None


def _remedy(error: RedriveError) -> dict[str, str]:
    """Return what to do if the token was refused."""
    if error.reason != "SCOPE_MISSING":
        return {}
    return {"mend": "give REDRIVE_TOKEN a token with the scope 'receipts'; 'pages' records no receipts any more"}
