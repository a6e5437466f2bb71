"""Requests: what each request_id asked for, and the answer it got (protocol rule 13)."""

import json
from typing import Any

import msgspec

from domain.event import Event, RequestStamp
from projections.recorded import Recorded
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
    """A request that was carried out."""

    payload_hash: str
    answer: dict[str, Any]


def stamp_of(event: Event) -> RequestStamp | None:
    """The request that made an event, if a request with an id did."""
    stamp: RequestStamp | None = getattr(event, "request", None)
    return stamp


def apply(sql: Sql, recorded: Recorded) -> None:
    """Remembers the request that made an event; the unique key is the last guard against carrying it out twice."""
    stamp = stamp_of(recorded.event)
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
    """A request with this id was carried out."""
    return find(sql, stamp.owner, stamp.method, stamp.request_id) is not None


def find(sql: Sql, owner: str, method: str, request_id: str) -> AnsweredRequest | None:
    """The first request with this id, or None."""
    row = sql.row(
        """
        SELECT payload_hash, answer FROM requests
        WHERE owner = :owner AND method = :method AND request_id = :request_id
        """,
        {"owner": owner, "method": method, "request_id": request_id},
    )
    return AnsweredRequest(row["payload_hash"], json.loads(row["answer"])) if row else None
