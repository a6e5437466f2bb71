"""Reads the Graph API's replies: what they say became of a message, or of each message of a batch."""

import re
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from domain.classification import PlatformError, classify, unanswered, unreadable
from domain.outcome import Outcome, Sent
from server.channels.channel import Advice, Attempted
from server.channels.graph_advice import advice_from

_INT32 = range(-(2**31), 2**31)  # what a code fits in wherever it goes


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with its JSON read; `body` is None where it is not JSON."""

    status: int
    body: Any
    advice: Advice | None = None

    @property
    def is_success(self) -> bool:
        """Whether it says yes, by status and body."""
        return 200 <= self.status < 300 and isinstance(self.body, dict) and self.error() is None

    def error(self) -> PlatformError | None:
        """The error it tells of in any of the platform's forms: an envelope, a bare text, or flat with `error_code`."""
        if not isinstance(self.body, dict):
            return None
        match self.body.get("error"):
            case dict() as envelope:
                return self._enveloped(envelope)
            case str() as text if text:
                return PlatformError(message=text, http_status=self.status)
        code = _whole(self.body.get("error_code"))
        text = _text(self.body.get("error_description")) or _text(self.body.get("error_msg"))
        return None if code is None else PlatformError(code=code, message=text, http_status=self.status)

    def refusal(self) -> Outcome:
        """What it means when it is not the success that was hoped for."""
        error = self.error()
        return unreadable(self.status) if error is None else classify(error)

    def outcome(self) -> Outcome:
        """What became of the one message that it answers; a success has to name the message."""
        message_id = _text(self.body.get("message_id")) if self.is_success else ""
        return Sent(message_id) if message_id else self.refusal()

    def _enveloped(self, envelope: Mapping[str, Any]) -> PlatformError | None:
        code, type_name, message = (
            _whole(envelope.get("code")),
            _text(envelope.get("type")),
            _text(envelope.get("message")),
        )
        if code is None and not type_name and not message:
            return None
        is_transient = envelope.get("is_transient")
        return PlatformError(
            code=code,
            subcode=_whole(envelope.get("error_subcode")) or 0,
            type_name=type_name,
            message=message,
            is_transient=is_transient if isinstance(is_transient, bool) else None,
            error_data=_text(envelope.get("error_data")),
            http_status=self.status,
        )


def read_reply(response: httpx.Response) -> Reply:
    """Reads a whole response."""
    return Reply(status=response.status_code, body=_json(response.content), advice=advice_from(response.headers))


def read_batch(response: httpx.Response, *, size: int) -> list[Attempted]:
    """What became of each message of a batch, in the order in which they were asked for.

    Answers of another number than was asked for cannot be told apart, so that all are taken like an unreadable one.
    """
    reply = read_reply(response)
    if isinstance(reply.body, list) and len(reply.body) == size:
        return [_part(part, reply.advice) for part in reply.body]
    return [Attempted(outcome=reply.refusal(), advice=reply.advice)] * size


def _part(part: object, advice: Advice | None) -> Attempted:
    if not isinstance(part, dict):
        return Attempted(outcome=unanswered("the platform did not finish this part of the batch"), advice=advice)
    body = part.get("body")
    body = _json(body) if isinstance(body, str) else body
    reply = Reply(status=_whole(part.get("code")) or 0, body=body)
    return Attempted(outcome=reply.outcome(), advice=advice_from(_part_headers(part.get("headers"))) or advice)


def _part_headers(headers: object) -> dict[str, str]:
    listed = [header for header in headers if isinstance(header, dict)] if isinstance(headers, list) else []
    return {_text(header.get("name")).lower(): _text(header.get("value")) for header in listed}


def _json(data: bytes | str) -> Any:
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _whole(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT32 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
