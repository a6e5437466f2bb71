"""Tokens in the database, shared by all processes of a cluster."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from projections.sql import Row, Sql, from_micros, micros
from server.auth.caller import Scope
from server.auth.tokens import Token, by_hash
from server.eventstore.commit import EventLog

CACHE_SECONDS = 1.0  # how long a revoked token may still be accepted
MISS_SECONDS = 0.1  # between two reads for unknown tokens


class TokenTable:
    """A cache of the tokens in the database."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tokens: Mapping[str, Token] = {}
        self._read_time = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, sha256: str) -> Token | None:
        """Return the token with this hash, or None; raises Unavailable."""
        asked = time.monotonic()
        await self._read_since(asked - CACHE_SECONDS)
        if sha256 not in self._tokens:
            await self._read_since(asked, wait=MISS_SECONDS)
        return self._tokens.get(sha256)

    async def _read_since(self, earliest: float, *, wait: float = 0.0) -> None:
        """Read the tokens unless they were read at this time or later; concurrent callers share one read."""
        if self._read_time >= earliest:
            return
        async with self._reading:
            if self._read_time >= earliest:
                return
            await asyncio.sleep(self._read_time + wait - time.monotonic())
            started = time.monotonic()
            self._tokens = by_hash(await self._log.read(all_tokens))
            self._read_time = started


def all_tokens(sql: Sql) -> Sequence[Token]:
    """Return every token, oldest first."""
    return [_token(row) for row in sql.rows("SELECT * FROM access_tokens ORDER BY create_time, token_id")]


def add(sql: Sql, token: Token) -> None:
    """Add a token."""
    sql.execute(
        """
        INSERT INTO access_tokens (token_id, owner, scopes, sha256, create_time, expire_time)
        VALUES (:token_id, :owner, :scopes, :sha256, :create_time, :expire_time)
        """,
        {
            "token_id": token.id,
            "owner": token.owner,
            "scopes": " ".join(sorted(token.scopes)),
            "sha256": token.sha256,
            "create_time": micros(token.create_time),
            "expire_time": micros(token.expire_time) if token.expire_time else 0,
        },
    )


def remove(sql: Sql, token_id: str) -> bool:
    """Remove a token; return False if no token has this id."""
    statement = "DELETE FROM access_tokens WHERE token_id = :token_id RETURNING token_id"
    return bool(sql.rows(statement, {"token_id": token_id}))


def _token(row: Row) -> Token:
    return Token(
        id=row["token_id"],
        owner=row["owner"],
        scopes=frozenset(map(Scope, row["scopes"].split())),
        sha256=row["sha256"],
        create_time=from_micros(row["create_time"]),
        expire_time=from_micros(row["expire_time"]) if row["expire_time"] else None,
    )
