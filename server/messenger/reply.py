"""Reads the Graph API's replies: what they say became of a message (protocol rule 5)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from domain.classification import PlatformError, classify, classify_no_answer, classify_unreadable_answer
from domain.outcome import Outcome, Sent
from domain.visible_text import one_line
from server.messenger.channel import Advice, Attempted
from server.messenger.http import Answer
from server.messenger.rate_advice import OwnObjects, advice_from, merged

_MAX_ID = 1_000  # characters of a message's id; the platform's have about 160
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
        code = as_whole(self.body.get("error_code"))
        text = as_text(self.body.get("error_description")) or as_text(self.body.get("error_msg"))
        return None if code is None else PlatformError(code=code, message=text, http_status=self.status)

    def refusal(self) -> Outcome:
        """What it means when it is not the success that was hoped for."""
        error = self.error()
        if error is None:
            return classify_unreadable_answer(self.status)
        return explained(classify(error), reason_for_people(self.body), has_message=bool(error.message))

    def outcome(self) -> Outcome:
        """What became of the one message that it answers; a success has to name the message."""
        message_id = _as_id(self.body.get("message_id")) if self.is_success else ""
        return Sent(message_id) if message_id else self.refusal()

    def _enveloped(self, envelope: Mapping[str, Any]) -> PlatformError | None:
        code, type_name, message = (
            as_whole(envelope.get("code")),
            as_text(envelope.get("type")),
            as_text(envelope.get("message")),
        )
        if code is None and not type_name and not message:
            return None
        is_transient = envelope.get("is_transient")
        return PlatformError(
            code=code,
            subcode=as_whole(envelope.get("error_subcode")) or 0,
            type_name=type_name,
            message=message,
            is_transient=is_transient if isinstance(is_transient, bool) else None,
            error_data=as_text(envelope.get("error_data")),
            http_status=self.status,
        )


class _Accepted(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A success as it usually looks; whatever looks different is read at leisure."""

    message_id: str
    recipient_id: str = ""
    attachment_id: str = ""


_accepted = msgspec.json.Decoder(_Accepted)


def read_reply(answer: Answer, own: OwnObjects | None = None) -> Reply:
    """Reads a whole answer."""
    return Reply(status=answer.status, body=as_json(answer.content), advice=advice_from(answer.headers, own))


def read_attempt(answer: Answer, own: OwnObjects | None = None) -> Attempted:
    """What became of the one message that was sent."""
    return Attempted(outcome=read_outcome(answer.status, answer.content), advice=advice_from(answer.headers, own))


def read_outcome(status: int, body: bytes | str) -> Outcome:
    """What a status and a body say of one message."""
    message_id = _accepted_as(body) if 200 <= status < 300 else ""
    return Sent(message_id) if message_id else Reply(status=status, body=as_json(body)).outcome()


def reason_for_people(body: Any) -> str:
    """Return what an error says to people, `error_user_title: error_user_msg`; empty if it says nothing."""
    envelope = body.get("error") if isinstance(body, dict) else None
    if not isinstance(envelope, dict):
        return ""
    texts = (as_text(envelope.get(name)).strip() for name in ("error_user_title", "error_user_msg"))
    return ": ".join(filter(None, texts))


def explained(outcome: Outcome, reason: str, *, has_message: bool) -> Outcome:
    """Return the outcome with the reason for people after the platform's message, unless the message contains it."""
    if isinstance(outcome, Sent) or not reason or reason in outcome.fault.message:
        return outcome
    message = f"{outcome.fault.message} ({reason})" if has_message else reason
    return msgspec.structs.replace(outcome, fault=msgspec.structs.replace(outcome.fault, message=message))


def as_json(data: bytes | str) -> Any:
    """The value, or None for what is not JSON."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def as_whole(value: object) -> int | None:
    """A whole number of 32 bits, or a text that is one."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT32 else None


def as_text(value: object) -> str:
    """A text, or none; without NUL characters, which PostgreSQL keeps in no column."""
    return value.replace("\0", "") if isinstance(value, str) else ""


def _as_id(value: object) -> str:
    """Return a message's id as it may be recorded and shown."""
    return one_line(as_text(value))[:_MAX_ID]


def _accepted_as(body: bytes | str) -> str:
    try:
        return _as_id(_accepted.decode(body).message_id)
    except (ValueError, RecursionError):
        return ""


# Reads the reply to a Graph batch: what it says became of each message.


class _Header(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: str
    value: str


class _Part(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A part as it usually looks; a reply with one that looks different is read at leisure."""

    code: Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
    body: str
    headers: list[_Header] | None = None


_usual = msgspec.json.Decoder(list[_Part | None])


def read_batch(answer: Answer, *, size: int, own: OwnObjects | None = None) -> list[Attempted]:
    """What became of each message of a batch, in the order in which they were asked for.

    Answers of another number than was asked for cannot be told apart, so that all are taken like an unreadable one.
    """
    try:
        parts = _usual.decode(answer.content)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return read_any_batch(answer, size=size, own=own)
    if len(parts) != size:
        return read_any_batch(answer, size=size, own=own)
    advice = advice_from(answer.headers, own)
    return [_usual_part(part, advice, own) for part in parts]


def read_any_batch(answer: Answer, *, size: int, own: OwnObjects | None = None) -> list[Attempted]:
    """The same for a reply of any form, three times slower."""
    reply = read_reply(answer, own)
    if isinstance(reply.body, list) and len(reply.body) == size:
        return [_any_part(part, reply.advice, own) for part in reply.body]
    return [Attempted(outcome=reply.refusal(), advice=reply.advice)] * size


def _usual_part(part: _Part | None, advice: Advice | None, own: OwnObjects | None) -> Attempted:
    if part is None:
        return _unfinished(advice)
    headers = {header.name.lower(): header.value for header in part.headers or ()}
    return Attempted(outcome=read_outcome(part.code, part.body), advice=merged(advice_from(headers, own), advice))


def _any_part(part: object, advice: Advice | None, own: OwnObjects | None) -> Attempted:
    if not isinstance(part, dict):
        return _unfinished(advice)
    body = part.get("body")
    body = as_json(body) if isinstance(body, str) else body
    reply = Reply(status=as_whole(part.get("code")) or 0, body=body)
    of_part = advice_from(_headers(part.get("headers")), own)
    return Attempted(outcome=reply.outcome(), advice=merged(of_part, advice))


def _unfinished(advice: Advice | None) -> Attempted:
    return Attempted(outcome=classify_no_answer("the platform did not finish this part of the batch"), advice=advice)


def _headers(headers: object) -> dict[str, str]:
    listed = [header for header in headers if isinstance(header, dict)] if isinstance(headers, list) else []
    return {as_text(header.get("name")).lower(): as_text(header.get("value")) for header in listed}
