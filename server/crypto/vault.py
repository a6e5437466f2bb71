"""The vault: seals and opens page secrets, message contents and keys. No column holds them in the clear."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from domain.content import Content
from projections.sql import Sql
from server.crypto.key_ring import SealingKey, new_key
from server.crypto.keyed_ids import MESSAGE_IDS, KeyedIds
from server.crypto.labels import Labels
from server.crypto.server_keys import LABELS, PAYLOAD_HASHES


class PageSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """A page's access token and app secret. Its repr does not show them."""

    access_token: str
    app_secret: str = ""

    def __repr__(self) -> str:
        return "PageSecrets()"


class StoredPageSecrets(NamedTuple):
    """A page's secrets and the generation of its access token."""

    secrets: PageSecrets
    token_generation: int


class MessageKey:
    """Seals and opens one message's content and variables."""

    def __init__(self, message_id: str, key: SealingKey) -> None:
        self._message_id = message_id
        self._key = key

    def seal_content(self, content: Content) -> bytes:
        """Return the content as its event stores it."""
        return self._key.seal(msgspec.json.encode(content), f"content/{self._message_id}")

    def open_content(self, sealed: bytes) -> Content:
        """Return the content that was sealed."""
        return msgspec.json.decode(self._key.open(sealed, f"content/{self._message_id}"), type=Content)

    def seal_variables(self, variables: Sequence[Mapping[str, str]], batch_number: int) -> bytes:
        """Return the sealed variables of a batch's recipients, given by position; empty if no recipient has any."""
        if not any(variables):
            return b""
        return self._key.seal(msgspec.json.encode(variables), f"variables/{self._message_id}/{batch_number}")

    def open_variables(self, sealed: bytes, batch_number: int) -> Sequence[Mapping[str, str]]:
        """Return the variables of a batch's recipients by position; an empty sequence if nothing was sealed."""
        if not sealed:
            return ()
        clear = self._key.open(sealed, f"variables/{self._message_id}/{batch_number}")
        return msgspec.json.decode(clear, type=list[dict[str, str]])

    def sealed_with(self, key: SealingKey) -> bytes:
        """Return this key, sealed with another."""
        return self._key.sealed_with(key, f"key/{self._message_id}")


class Vault:
    """Stores and loads what the server's key seals. Its methods return queries and writes for a transaction."""

    def __init__(self, key: SealingKey, payload_key: bytes | None = None, label_key: SealingKey | None = None) -> None:
        """Derive the keys of payload hashes and labels from the server's key unless they are given."""
        self._key = key
        self.payload_key = payload_key or key.derive(PAYLOAD_HASHES)
        self.ids = KeyedIds(key.derive(MESSAGE_IDS), self.payload_key)
        self.labels = Labels(label_key or SealingKey(key.derive(LABELS)))

    def new_message_key(self, message_id: str) -> MessageKey:
        """Return a key for a new message; store it with `save_message_key` in the commit that creates the message."""
        return MessageKey(message_id, new_key())

    def save_message_key(self, message_id: str, key: MessageKey) -> Callable[[Sql], None]:
        """Return the write that stores a message's key."""
        sealed = key.sealed_with(self._key)
        statement = """
            INSERT INTO message_keys (message_id, sealed) VALUES (:message_id, :sealed)
            ON CONFLICT (message_id) DO UPDATE SET sealed = excluded.sealed
        """
        return lambda sql: sql.execute(statement, {"message_id": message_id, "sealed": sealed})

    def message_key(self, message_id: str) -> Callable[[Sql], MessageKey]:
        """Return the query that loads a message's key; it raises KeyError if there is none."""

        def query(sql: Sql) -> MessageKey:
            row = sql.row("SELECT sealed FROM message_keys WHERE message_id = :message_id", {"message_id": message_id})
            if row is None:
                raise KeyError(message_id)
            return MessageKey(message_id, SealingKey(self._key.open(row["sealed"], f"key/{message_id}")))

        return query

    def seal_person_keys(self, batch: str, keys: bytes) -> str:
        """Return a batch's person keys as the table person_keys stores them (see person_keys.py)."""
        return b64encode(self._key.seal(keys, f"people/{batch}")).decode()

    def open_person_keys(self, batch: str, sealed: str) -> bytes:
        """Return a batch's person keys."""
        return self._key.open(b64decode(sealed), f"people/{batch}")

    def save_page_secrets(self, page_id: str, secrets: PageSecrets, token_generation: int) -> Callable[[Sql], None]:
        """Return the write that stores a page's secrets, in place of earlier ones."""
        sealed = self._key.seal(msgspec.json.encode(secrets), f"page/{page_id}/{token_generation}")
        statement = """
            INSERT INTO page_secrets (page_id, token_generation, sealed) VALUES (:page_id, :generation, :sealed)
            ON CONFLICT (page_id) DO UPDATE SET token_generation = excluded.token_generation, sealed = excluded.sealed
        """
        parameters = {"page_id": page_id, "generation": token_generation, "sealed": sealed}
        return lambda sql: sql.execute(statement, parameters)

    def page_secrets(self, page_id: str) -> Callable[[Sql], StoredPageSecrets | None]:
        """Return the query that loads a page's secrets; None if it has none."""

        def query(sql: Sql) -> StoredPageSecrets | None:
            row = sql.row("SELECT * FROM page_secrets WHERE page_id = :page_id", {"page_id": page_id})
            if row is None:
                return None
            clear = self._key.open(row["sealed"], f"page/{page_id}/{row['token_generation']}")
            return StoredPageSecrets(msgspec.json.decode(clear, type=PageSecrets), row["token_generation"])

        return query
