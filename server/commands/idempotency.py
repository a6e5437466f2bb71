"""Request stamps with payload hashes, which identify a repeated request (protocol rule 13)."""

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

WriteCommand = (
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
# Fields that later releases added. An empty one is not hashed, so that the hash is that of the earlier releases.
_ADDED_LATER: Mapping[type[WriteCommand], Sequence[str]] = {
    SendMessage: ("schedule_time", "stop_policy"),
    ResendMessage: ("as_of_sequence", "canary", "messages_per_second", "reason", "content"),
}
_ADDED_TO_POLICIES = ("delay",)


class PayloadHash:
    """A hash of what a request asks for, taken part by part.

    Use a `key` if the request has secrets or texts, so that the stored hash does not allow to try guesses.
    """

    def __init__(self, command: WriteCommand, key: bytes = b"") -> None:
        self._hash = hashlib.blake2b(key=key, digest_size=32)
        self._hash.update(msgspec.json.encode(_hashed_fields(_without_request_id(command))))

    async def add(self, parts: Sequence[msgspec.Struct]) -> None:
        """Add further parts of the request, in order; it does not matter how many are added at once."""
        async for some in yield_between(slices(parts)):
            self._hash.update(b"".join(map(_ENCODER.encode, some)))

    def hexdigest(self) -> str:
        """Return the hash of the command and all added parts."""
        return self._hash.hexdigest()


def _without_request_id(command: WriteCommand) -> WriteCommand:
    """Return the command without its id, and not as a dry run: a dry run has the same hash."""
    if isinstance(command, SendMessage | ResendMessage | CleanupDeliveries):
        return msgspec.structs.replace(command, request_id="", validate_only=False)
    return msgspec.structs.replace(command, request_id="")


def _hashed_fields(command: WriteCommand) -> dict[str, Any]:
    """Return the fields in order, without those added later that are empty."""
    fields: dict[str, Any] = msgspec.to_builtins(command, order="deterministic")
    fields.pop("sees", None)
    _drop_empty(fields, _ADDED_LATER.get(type(command), ()))
    if isinstance(command, SendMessage):
        _drop_empty(fields["retry_policy"], _ADDED_TO_POLICIES)
    return fields


def _drop_empty(fields: dict[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if not fields[name]:
            del fields[name]


async def load_first_answer(log: EventLog, stamp: RequestStamp | None) -> AnsweredRequest | None:
    """Return what `find_first_answer` finds; raises RequestIdReused, Unavailable."""
    return await log.read(lambda sql: find_first_answer(sql, stamp)) if stamp else None


def find_first_answer(sql: Sql, stamp: RequestStamp | None) -> AnsweredRequest | None:
    """Return the answer to the first request with this id, or None.

    Raises RequestIdReused if that request asked for something else.
    """
    if stamp is None:
        return None
    found = requests.find(sql, stamp.owner, stamp.method, stamp.request_id)
    if found is not None and found.payload_hash != stamp.payload_hash:
        raise RequestIdReused(stamp.request_id)
    return found


def stamp_for(method: str, command: WriteCommand, payload_hash: str) -> RequestStamp | None:
    """Return the stamp of a request, or None if it has no id."""
    if not command.request_id:
        return None
    return RequestStamp(owner=command.owner, method=method, request_id=command.request_id, payload_hash=payload_hash)
