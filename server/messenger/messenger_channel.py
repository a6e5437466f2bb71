"""Sends through the Messenger Send API, one request a message or many in a Graph batch."""

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
    Attempted,
    Channel,
    Credentials,
    NothingLeftError,
    OutgoingMessage,
    TokenAccepted,
    TokenCheck,
    TokenRefused,
    TokenUntried,
)
from server.messenger.http import CHECK_SECONDS, Answer, no_answer, nothing_left, read_answer
from server.messenger.rate_advice import OwnObjects
from server.messenger.redaction import Redaction, redact
from server.messenger.reply import read_attempt, read_batch, read_reply
from server.messenger.request import GraphRequests, secrets_of

_REDIRECTS = range(300, 400)
_PLATFORM_WORD = re.compile(r".*(type|ratio|style)")  # fields of a template that hold words of the platform's own


class MessengerChannel(Channel):
    """The Graph API as a channel: every result is a value; raised are cancellation and NothingLeftError.

    `deadline` bounds a whole exchange, since the client's own read time-out starts again with every byte, and
    `check_deadline` the trial of a token, for which a caller waits. `check_client` is the client for that: the one that
    sends where there is no other.
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

    async def send(self, credentials: Credentials, message: OutgoingMessage) -> Attempted:
        """Sends one message in one request."""
        answer = await _exchange(self._client, lambda: self._requests.message(credentials, message), self._deadline)
        own = self._own(credentials)
        attempt = read_attempt(answer, own) if isinstance(answer, Answer) else Attempted(outcome=answer)
        return _recordable([attempt], credentials, [message])[0]

    async def send_batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> Sequence[Attempted]:
        """Sends up to 50 messages in one request; answers in their order."""
        if not messages:
            return []
        answer = await _exchange(self._client, lambda: self._requests.batch(credentials, messages), self._deadline)
        if isinstance(answer, Answer):
            attempts = read_batch(answer, size=len(messages), own=self._own(credentials))
        else:
            attempts = [Attempted(outcome=answer)] * len(messages)
        return _recordable(attempts, credentials, messages)

    async def check_token(self, credentials: Credentials) -> TokenCheck:
        """Tries the token with one harmless call; only an answer that waiting would not change refuses it."""
        answer = await self._asked(self._check_client, self._requests.probe, credentials)
        if isinstance(answer, str):
            return TokenUntried(answer)
        if not isinstance(answer, Answer):  # nothing that the platform said: it cannot refuse the token
            return TokenUntried(answer.fault.message)
        if answer.status in _REDIRECTS:
            return TokenRefused(redirect_fault(answer.status))
        reply = read_reply(answer)
        if reply.is_success and reply.body.get("id"):
            return TokenAccepted()
        return _token_check(reply.refusal(), credentials)

    async def is_page_token(self, credentials: Credentials) -> bool:
        """Ask the platform whose token it is; a user's token can read the page too, but is not the page's.

        It goes over the client that sends: many callers who try tokens must not keep it from being asked.
        """
        answer = await self._asked(self._client, self._requests.identity, credentials)
        if not isinstance(answer, Answer):
            return False
        reply = read_reply(answer)
        return reply.is_success and str(reply.body.get("id")) == credentials.page_id

    async def _asked(
        self,
        client: httpx.AsyncBaseTransport,
        write: Callable[[Credentials], httpx.Request],
        credentials: Credentials,
    ) -> Answer | Failed | Unconfirmed | str:
        """Return the answer to a harmless call, or why there is none."""
        try:
            return await _exchange(client, lambda: write(credentials), self._check_deadline)
        except NothingLeftError as error:
            return error.reason

    def _own(self, credentials: Credentials) -> OwnObjects:
        return self._own_objects.setdefault(credentials.page_id, OwnObjects(credentials.page_id))


async def _exchange(
    client: httpx.AsyncBaseTransport, write: Callable[[], httpx.Request], deadline: float
) -> Answer | Failed | Unconfirmed:
    """Return the answer to one request, or what it means that there is none; raises NothingLeftError."""
    try:
        request = write()
    except (ValueError, httpx.InvalidURL) as error:
        return classify_unserializable(type(error).__name__)
    try:
        async with asyncio.timeout(deadline):
            return await read_answer(await client.handle_async_request(request))
    except Exception as error:  # noqa: BLE001 - whatever it is, the message may have left
        if (reason := nothing_left(error)) is not None:
            raise NothingLeftError(reason) from None
        return no_answer(error)


def _recordable(
    attempts: Sequence[Attempted], credentials: Credentials, messages: Sequence[OutgoingMessage]
) -> Sequence[Attempted]:
    """Return the attempts with errors that quote none of the messages: the answer to a batch may quote another part."""
    if all(isinstance(attempt.outcome, Sent) for attempt in attempts):
        return attempts
    redaction = Redaction(
        secrets_of(credentials),
        (text for message in messages for text in _texts(message)),
        (message.variable_values() for message in messages),
    )
    found = []
    for attempt, message in zip(attempts, messages, strict=True):
        outcome = attribute_missing_object(
            attempt.outcome, page_id=credentials.page_id, recipient_id=message.recipient_id
        )
        found.append(Attempted(outcome=redaction.outcome(outcome), advice=attempt.advice))
    return found


def _texts(message: OutgoingMessage) -> Iterator[str]:
    """Yield what the message says, without a template's fields that hold words of the platform's own."""
    for string in content_strings(message.content):
        if not _PLATFORM_WORD.fullmatch(string.path):
            yield string.text


def _token_check(outcome: Outcome, credentials: Credentials) -> TokenCheck:
    match redact(outcome, secrets_of(credentials)):
        case Failed(fault) if fault.retry is not RetryRule.AUTOMATIC:
            return TokenRefused(fault)
        case Failed(fault) | Unconfirmed(fault):
            return TokenUntried(fault.message)
        case _:
            return TokenUntried("the platform's answer says nothing about the token")
