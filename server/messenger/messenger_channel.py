"""MessengerChannel: sends through the Messenger Send API, in single requests or in Graph batches."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import httpx

from domain.classification import attribute_missing_object, classify_unserializable, redirect_fault
from domain.content import content_strings
from domain.fault import RetryRule
from domain.outcome import Failed, Outcome, Sent, Unconfirmed
from server.messenger.channel import (
    Channel,
    LocalShortageError,
    OutgoingMessage,
    PageCredentials,
    SendResult,
    TokenAccepted,
    TokenCheck,
    TokenRejected,
    TokenUnchecked,
)
from server.messenger.http import (
    CHECK_SECONDS,
    HttpResponse,
    local_shortage,
    outcome_without_response,
    read_response,
)
from server.messenger.rate_advice import OwnObjects
from server.messenger.redaction import Redaction, redact
from server.messenger.reply import read_batch_results, read_reply, read_send_result
from server.messenger.request import GraphRequests, secrets_of

_REDIRECTS = range(300, 400)
_PLATFORM_WORD = re.compile(r".*(type|ratio|style)")  # template fields whose values are words of the platform


class MessengerChannel(Channel):
    """The Graph API as a channel: it raises only cancellation and LocalShortageError.

    `deadline` limits a whole exchange, because the client's read time-out starts again with every byte.
    `check_deadline` limits a token check, for which a caller waits. Token checks go over `check_client`, or over
    `client` if there is none.
    """

    def __init__(
        self,
        client: httpx.AsyncBaseTransport,
        graph_url: str,
        *,
        deadline: timedelta = timedelta(seconds=60),
        check_client: httpx.AsyncBaseTransport | None = None,
        check_deadline: timedelta = timedelta(seconds=CHECK_SECONDS),
    ) -> None:
        self._client = client
        self._check_client = check_client or client
        self._check_deadline = check_deadline.total_seconds()
        self._requests = GraphRequests(graph_url)
        self._deadline = deadline.total_seconds()
        self._own_objects: dict[str, OwnObjects] = {}  # by page

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        """Send one message in one request."""
        response = await _exchange(self._client, lambda: self._requests.message(credentials, message), self._deadline)
        if isinstance(response, HttpResponse):
            result = read_send_result(response, self._own(credentials))
        else:
            result = SendResult(outcome=response)
        return _redacted([result], credentials, [message])[0]

    async def send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        """Send up to 50 messages in one request; return the results in the order of the messages."""
        if not messages:
            return []
        response = await _exchange(self._client, lambda: self._requests.batch(credentials, messages), self._deadline)
        if isinstance(response, HttpResponse):
            results = read_batch_results(response, size=len(messages), own=self._own(credentials))
        else:
            results = [SendResult(outcome=response)] * len(messages)
        return _redacted(results, credentials, messages)

    async def check_token(self, credentials: PageCredentials) -> TokenCheck:
        """Check the token with a call that sends nothing; only an error that waiting does not change rejects it."""
        response = await self._ask(self._check_client, self._requests.page, credentials)
        if isinstance(response, str):
            return TokenUnchecked(response)
        if not isinstance(response, HttpResponse):  # not from the platform, so it says nothing about the token
            return TokenUnchecked(response.fault.message)
        if response.status in _REDIRECTS:
            return TokenRejected(redirect_fault(response.status))
        reply = read_reply(response)
        if reply.is_success and reply.body.get("id"):
            return TokenAccepted()
        return _token_check(reply.failure(), credentials)

    async def is_page_token(self, credentials: PageCredentials) -> bool:
        """Ask the platform whose token it is; a user's token can read the page too, but is not the page's.

        The call goes over the client for sending, so that callers who check many tokens cannot delay it.
        """
        response = await self._ask(self._client, self._requests.token_owner, credentials)
        if not isinstance(response, HttpResponse):
            return False
        reply = read_reply(response)
        return reply.is_success and str(reply.body.get("id")) == credentials.page_id

    async def _ask(
        self,
        client: httpx.AsyncBaseTransport,
        write: Callable[[PageCredentials], httpx.Request],
        credentials: PageCredentials,
    ) -> HttpResponse | Failed | Unconfirmed | str:
        """Return the response to a call that sends nothing, or why there is none."""
        try:
            return await _exchange(client, lambda: write(credentials), self._check_deadline)
        except LocalShortageError as error:
            return error.reason

    def _own(self, credentials: PageCredentials) -> OwnObjects:
        return self._own_objects.setdefault(credentials.page_id, OwnObjects(credentials.page_id))


async def _exchange(
    client: httpx.AsyncBaseTransport, write: Callable[[], httpx.Request], deadline: float
) -> HttpResponse | Failed | Unconfirmed:
    """Return the response to one request, or the outcome that follows without one; raises LocalShortageError."""
    try:
        request = write()
    except (ValueError, httpx.InvalidURL) as error:
        return classify_unserializable(type(error).__name__)
    try:
        async with asyncio.timeout(deadline):
            return await read_response(await client.handle_async_request(request))
    except Exception as error:  # noqa: BLE001 - after any error the request may have left
        if (reason := local_shortage(error)) is not None:
            raise LocalShortageError(reason) from None
        return outcome_without_response(error)


def _redacted(
    results: Sequence[SendResult], credentials: PageCredentials, messages: Sequence[OutgoingMessage]
) -> Sequence[SendResult]:
    """Return the results with errors that quote no message: an error of one part of a batch may quote another part."""
    if all(isinstance(result.outcome, Sent) for result in results):
        return results
    redaction = Redaction(
        secrets_of(credentials),
        (text for message in messages for text in _texts(message)),
        (message.variable_values() for message in messages),
    )
    redacted = []
    for result, message in zip(results, messages, strict=True):
        outcome = attribute_missing_object(
            result.outcome, page_id=credentials.page_id, recipient_id=message.recipient_id
        )
        redacted.append(SendResult(outcome=redaction.outcome(outcome), advice=result.advice))
    return redacted


def _texts(message: OutgoingMessage) -> Iterator[str]:
    """Yield the texts of a message, without template fields whose values are words of the platform."""
    for string in content_strings(message.content):
        if not _PLATFORM_WORD.fullmatch(string.path):
            yield string.text


def _token_check(outcome: Outcome, credentials: PageCredentials) -> TokenCheck:
    match redact(outcome, secrets_of(credentials)):
        case Failed(fault) if fault.retry is not RetryRule.AUTOMATIC:
            return TokenRejected(fault)
        case Failed(fault) | Unconfirmed(fault):
            return TokenUnchecked(fault.message)
        case _:
            return TokenUnchecked("the platform's answer says nothing about the token")
