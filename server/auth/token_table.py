"""Tokens in the database: every server that works on it knows the same ones."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from projections.sql import Row, Sql, from_micros, micros
from server.auth.caller import Scope
from server.auth.tokens import Token, by_hash
from server.eventstore.commit import EventLog

KEPT_SECONDS = 1.0  # a revoked token is let in for so long
MISS_SECONDS = 0.1  # between two looks for tokens that are not known yet


class TokenTable:
    """The tokens of the database, read again and again."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tokens: Mapping[str, Token] = {}
        self._read_time = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, sha256: str) -> Token | None:
        """The token with this hash, or None; raises Unavailable."""
        asked = time.monotonic()
        await self._read_since(asked - KEPT_SECONDS)
        if sha256 not in self._tokens:
            await self._read_since(asked, wait=MISS_SECONDS)
        return self._tokens.get(sha256)

    async def _read_since(self, earliest: float, *, wait: float = 0.0) -> None:
        """Sees to it that the tokens are those of this time or later; all who wait for that share one reading."""
        if self._read_time >= earliest:
            return
        async with self._turn:
            if self._read_time >= earliest:
                return
            await asyncio.sleep(self._read_time + wait - time.monotonic())
            begun = time.monotonic()
            self._tokens = by_hash(await self._log.read(all_tokens))
            self._read_time = begun


def all_tokens(sql: Sql) -> Sequence[Token]:
    """Every token, oldest first."""
    return [_token(row) for row in sql.rows("SELECT * FROM access_tokens ORDER BY create_time, token_id")]


def add(sql: Sql, token: Token) -> None:
    """Lets a token in."""
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
    """Lets a token in no more; False when there is none with this id."""
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
