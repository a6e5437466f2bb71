"""The vault: page secrets and message texts, never in the clear in any column."""

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
    """What sends for a page; its repr shows nothing."""

    access_token: str
    app_secret: str = ""

    def __repr__(self) -> str:
        return "PageSecrets()"


class KeptSecrets(NamedTuple):
    """A page's secrets and the generation of its token."""

    secrets: PageSecrets
    token_generation: int


class MessageKey:
    """Seals one message's content and variables."""

    def __init__(self, message_id: str, key: SealingKey) -> None:
        self._message_id = message_id
        self._key = key

    def seal_content(self, content: Content) -> bytes:
        """The content as the log keeps it."""
        return self._key.seal(msgspec.json.encode(content), f"content/{self._message_id}")

    def open_content(self, sealed: bytes) -> Content:
        """The content as it was sent."""
        return msgspec.json.decode(self._key.open(sealed, f"content/{self._message_id}"), type=Content)

    def seal_variables(self, variables: Sequence[Mapping[str, str]], batch_number: int) -> bytes:
        """Variables by position; empty when there are none at all."""
        if not any(variables):
            return b""
        return self._key.seal(msgspec.json.encode(variables), f"variables/{self._message_id}/{batch_number}")

    def open_variables(self, sealed: bytes, batch_number: int) -> Sequence[Mapping[str, str]]:
        """Variables by position; none when nothing was sealed."""
        if not sealed:
            return ()
        clear = self._key.open(sealed, f"variables/{self._message_id}/{batch_number}")
        return msgspec.json.decode(clear, type=list[dict[str, str]])

    def sealed_with(self, key: SealingKey) -> bytes:
        """This key, sealed with another."""
        return self._key.sealed_with(key, f"key/{self._message_id}")


class Vault:
    """Reads and writes what is sealed with the server's key."""

    def __init__(self, key: SealingKey, payload_key: bytes | None = None, label_key: SealingKey | None = None) -> None:
        """Without the keys that a database keeps, they are derived from the server's key."""
        self._key = key
        self.payload_key = payload_key or key.derived(PAYLOAD_HASHES)
        self.ids = KeyedIds(key.derived(MESSAGE_IDS), self.payload_key)
        self.labels = Labels(label_key or SealingKey(key.derived(LABELS)))

    def new_message_key(self, message_id: str) -> MessageKey:
        """A key for a message to come; keep it with `keep_message_key` in the commit that brings the message."""
        return MessageKey(message_id, new_key())

    def keep_message_key(self, message_id: str, key: MessageKey) -> Callable[[Sql], None]:
        """The write that keeps a message's key."""
        sealed = key.sealed_with(self._key)
        statement = """
            INSERT INTO message_keys (message_id, sealed) VALUES (:message_id, :sealed)
            ON CONFLICT (message_id) DO UPDATE SET sealed = excluded.sealed
        """
        return lambda sql: sql.execute(statement, {"message_id": message_id, "sealed": sealed})

    def message_key(self, message_id: str) -> Callable[[Sql], MessageKey]:
        """The query for a message's key; raises KeyError when there is none."""

        def query(sql: Sql) -> MessageKey:
            row = sql.row("SELECT sealed FROM message_keys WHERE message_id = :message_id", {"message_id": message_id})
            if row is None:
                raise KeyError(message_id)
            return MessageKey(message_id, SealingKey(self._key.open(row["sealed"], f"key/{message_id}")))

        return query

    def seal_person_keys(self, batch: str, keys: bytes) -> str:
        """The keys of a batch's people, as person_keys.py keeps them."""
        return b64encode(self._key.seal(keys, f"people/{batch}")).decode()

    def open_person_keys(self, batch: str, sealed: str) -> bytes:
        """The keys of a batch's people."""
        return self._key.open(b64decode(sealed), f"people/{batch}")

    def keep_page_secrets(self, page_id: str, secrets: PageSecrets, token_generation: int) -> Callable[[Sql], None]:
        """The write that keeps a page's secrets in place of those before."""
        sealed = self._key.seal(msgspec.json.encode(secrets), f"page/{page_id}/{token_generation}")
        statement = """
            INSERT INTO page_secrets (page_id, token_generation, sealed) VALUES (:page_id, :generation, :sealed)
            ON CONFLICT (page_id) DO UPDATE SET token_generation = excluded.token_generation, sealed = excluded.sealed
        """
        parameters = {"page_id": page_id, "generation": token_generation, "sealed": sealed}
        return lambda sql: sql.execute(statement, parameters)

    def page_secrets(self, page_id: str) -> Callable[[Sql], KeptSecrets | None]:
        """The query for a page's secrets."""

        def query(sql: Sql) -> KeptSecrets | None:
            row = sql.row("SELECT * FROM page_secrets WHERE page_id = :page_id", {"page_id": page_id})
            if row is None:
                return None
            clear = self._key.open(row["sealed"], f"page/{page_id}/{row['token_generation']}")
            return KeptSecrets(msgspec.json.decode(clear, type=PageSecrets), row["token_generation"])

        return query
