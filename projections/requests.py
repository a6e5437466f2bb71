"""The requests table: the payload hash and the answer of each request_id (protocol rule 13)."""

import json
from typing import Any

import msgspec

from domain.event import Event, RecordedEvent, RequestStamp
from projections.sql import Sql

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS requests (
        owner TEXT NOT NULL,
        method TEXT NOT NULL,
        request_id TEXT NOT NULL,
        payload_hash TEXT NOT NULL,
        answer TEXT NOT NULL,
        PRIMARY KEY (owner, method, request_id)
    )
    """,
)


class AnsweredRequest(msgspec.Struct, frozen=True):
    """A request that was executed, with its answer."""

    payload_hash: str
    answer: dict[str, Any]


def request_of(event: Event) -> RequestStamp | None:
    """Return the request that caused an event; None if it had no request_id."""
    stamp: RequestStamp | None = getattr(event, "request", None)
    return stamp


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Record the request that caused an event; the unique key prevents that it is executed twice."""
    stamp = request_of(recorded.event)
    if stamp is None:
        return
    sql.execute(
        """
        INSERT INTO requests (owner, method, request_id, payload_hash, answer)
        VALUES (:owner, :method, :request_id, :payload_hash, :answer)
        """,
        {
            "owner": stamp.owner,
            "method": stamp.method,
            "request_id": stamp.request_id,
            "payload_hash": stamp.payload_hash,
            "answer": json.dumps(stamp.answer, sort_keys=True),
        },
    )


def is_known(sql: Sql, stamp: RequestStamp) -> bool:
    """Return whether a request with this id was executed."""
    return find(sql, stamp.owner, stamp.method, stamp.request_id) is not None


def find(sql: Sql, owner: str, method: str, request_id: str) -> AnsweredRequest | None:
    """Return the request with this id; None if there is none."""
    row = sql.row(
        """
        SELECT payload_hash, answer FROM requests
        WHERE owner = :owner AND method = :method AND request_id = :request_id
        """,
        {"owner": owner, "method": method, "request_id": request_id},
    )
    return AnsweredRequest(row["payload_hash"], json.loads(row["answer"])) if row else None
