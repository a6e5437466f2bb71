"""Reads the reply to a Graph batch: what it says became of each message."""

from typing import Annotated

import msgspec

from domain.classification import unanswered
from server.channels.answer import Answer
from server.channels.channel import Advice, Attempted
from server.channels.graph_advice import OwnObjects, advice_from, merged
from server.channels.graph_reply import Reply, as_json, as_text, as_whole, read_outcome, read_reply


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
    return Attempted(outcome=unanswered("the platform did not finish this part of the batch"), advice=advice)


def _headers(headers: object) -> dict[str, str]:
    listed = [header for header in headers if isinstance(header, dict)] if isinstance(headers, list) else []
    return {as_text(header.get("name")).lower(): as_text(header.get("value")) for header in listed}
