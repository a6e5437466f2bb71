"""Stamps and payload hashes of requests, so that a repeated request is recognised (protocol rule 13)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.commands import (
    CancelMessage,
    CleanupDeliveries,
    ErasePerson,
    HoldPage,
    PauseMessage,
    PutPage,
    ReleasePage,
    ResendMessage,
    ResumeMessage,
    SendMessage,
    SharePage,
    TransferPage,
)
from domain.errors import RequestIdReused
from domain.event import RequestStamp
from projections import requests
from projections.requests import AnsweredRequest
from projections.sql import Sql
from server.eventstore.commit import EventLog
from server.runtime.cooperative import slices, yield_between

Write = (
    SendMessage
    | ResendMessage
    | PauseMessage
    | ResumeMessage
    | CancelMessage
    | PutPage
    | HoldPage
    | ReleasePage
    | SharePage
    | TransferPage
    | CleanupDeliveries
    | ErasePerson
)
_ENCODER = msgspec.json.Encoder(order="deterministic")
# Fields of requests that came with a later release: where one is not given, the hash is that of the releases before.
_ADDED_LATER: Mapping[type[Write], Sequence[str]] = {
    SendMessage: ("schedule_time", "stop_policy"),
    ResendMessage: ("as_of_sequence", "canary", "messages_per_second", "reason", "content"),
}
_ADDED_TO_POLICIES = ("delay",)


class PayloadHash:
    """A hash of what a request asks for, taken as the request comes in.

    Where the request holds secrets or texts it is keyed, so that nobody can try guesses on it.
    """

    def __init__(self, command: Write, key: bytes = b"") -> None:
        self._hash = hashlib.blake2b(key=key, digest_size=32)
        self._hash.update(msgspec.json.encode(_asked_fields(_what_is_asked(command))))

    async def add(self, parts: Sequence[msgspec.Struct]) -> None:
        """Goes on with further parts of the request; how they are cut makes no difference."""
        async for some in yield_between(slices(parts)):
            self._hash.update(b"".join(map(_ENCODER.encode, some)))

    def hexdigest(self) -> str:
        """The hash of all that was added."""
        return self._hash.hexdigest()


def _what_is_asked(command: Write) -> Write:
    """The command without what makes no difference to its answer: a dry run answers the same."""
    if isinstance(command, SendMessage | ResendMessage | CleanupDeliveries):
        return msgspec.structs.replace(command, request_id="", validate_only=False)
    return msgspec.structs.replace(command, request_id="")


def _asked_fields(asked: Write) -> dict[str, Any]:
    """Its fields in their order, but for later ones that are not given."""
    fields: dict[str, Any] = msgspec.to_builtins(asked, order="deterministic")
    fields.pop("sees", None)
    _drop_not_given(fields, _ADDED_LATER.get(type(asked), ()))
    if isinstance(asked, SendMessage):
        _drop_not_given(fields["retry_policy"], _ADDED_TO_POLICIES)
    return fields


def _drop_not_given(fields: dict[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if not fields[name]:
            del fields[name]


async def first_answer(log: EventLog, stamp: RequestStamp | None) -> AnsweredRequest | None:
    """Read what `answered_before` returns; raises RequestIdReused, Unavailable."""
    return await log.read(lambda sql: answered_before(sql, stamp)) if stamp else None


def answered_before(sql: Sql, stamp: RequestStamp | None) -> AnsweredRequest | None:
    """Return the answer to the first request with this id; raises RequestIdReused if that asked for something else."""
    if stamp is None:
        return None
    found = requests.find(sql, stamp.owner, stamp.method, stamp.request_id)
    if found is not None and found.payload_hash != stamp.payload_hash:
        raise RequestIdReused(stamp.request_id)
    return found


def stamp_for(method: str, command: Write, payload_hash: str) -> RequestStamp | None:
    """The stamp of a request; None when it has no id."""
    if not command.request_id:
        return None
    return RequestStamp(owner=command.owner, method=method, request_id=command.request_id, payload_hash=payload_hash)
