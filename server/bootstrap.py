"""Opens the database and the vault that the settings name, or says in words why that cannot be."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from eventsourcing.persistence import PersistenceError

from server.auth.auth_file import KnownByFile
from server.auth.authentication import Authentication
from server.auth.certificates import CertificateError, Certificates
from server.auth.signed_tokens import SignedTokens
from server.auth.token_table import TokenTable
from server.crypto import rotation, server_keys
from server.crypto.key_ring import SealingKey, kept_key, parse_key
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog
from server.eventstore.event_store import EventStore
from server.eventstore.follower import Follower
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.sqlite.store import SqliteStore
from server.eventstore.store import Store
from server.settings import AccessSettings, Settings


class StartRefusedError(Exception):
    """The service cannot start; the text says why, and how to mend it."""


def open_store(settings: Settings) -> Store:
    """The database of the settings; raises StartRefusedError."""
    if settings.is_embedded:
        return _open_sqlite(settings)
    try:
        return PostgresStore(settings.database_url)
    except PostgresStore.away as error:
        raise StartRefusedError(f"the database of REDRIVE_DATABASE_URL cannot be used: {error}") from error


def _open_sqlite(settings: Settings) -> SqliteStore:
    path = settings.sqlite_path
    if not path.parent.is_dir():
        raise StartRefusedError(f"REDRIVE_DATABASE_URL: the folder {path.parent} is not there: make it first")
    try:
        return SqliteStore(path)
    except (sqlite3.Error, PersistenceError) as error:
        raise StartRefusedError(f"REDRIVE_DATABASE_URL: {path} cannot be used as a database: {error}") from error


def log_of(store: Store, settings: Settings) -> EventStore:
    """The log over a store; a shared database is followed."""
    if isinstance(store, PostgresStore):
        return EventStore(store, Follower(store, settings.database_url))
    return EventStore(store)


def open_vault(store: Store, settings: Settings) -> Vault:
    """The vault of an opened database; raises StartRefusedError, SecretKeyError when its key is not to be had."""
    key = secret_key(store, settings)
    with store.transaction(commit=False) as sql:
        if server_keys.is_rotating(sql):
            raise StartRefusedError("a rotation of the key was cut off: run `redrive-server keys rotate` as before")
        if not rotation.opens_one_of_each(sql, key):
            words = "the key is not the one that this database was written with: see REDRIVE_SECRET_KEY"
            raise StartRefusedError(words)
        payload_key, label_key = server_keys.payload_key(sql, key), server_keys.label_key(sql, key)
    return Vault(key, payload_key, label_key or _made_label_key(store, key))


def _made_label_key(store: Store, key: SealingKey) -> SealingKey | None:
    """Make the key of labels; another process may have been faster."""
    with store.transaction(commit=True) as sql:
        server_keys.make_label_key(sql, key)
        return server_keys.label_key(sql, key)


def secret_key(store: Store, settings: Settings) -> SealingKey:
    """The server's key; raises StartRefusedError, SecretKeyError."""
    if settings.secret_key is not None:
        return parse_key(settings.secret_key.get_secret_value())
    if not settings.is_embedded:
        raise StartRefusedError(
            "REDRIVE_SECRET_KEY is required with PostgreSQL, the same for every process: 32 bytes in base64,"
            " as from `openssl rand -base64 32`"
        )
    path = key_file(settings)
    if not path.exists() and _holds_secrets(store):
        raise StartRefusedError(f"{path} is missing: put it back, or set REDRIVE_SECRET_KEY to what it held")
    return kept_key(path)


def key_file(settings: Settings) -> Path:
    """Where the key of an embedded database stands when the settings hold none."""
    return settings.sqlite_path.with_name(settings.sqlite_path.name + ".key")


def _holds_secrets(store: Store) -> bool:
    with store.transaction(commit=False) as sql:
        return any(sql.row(f"SELECT 1 FROM {table.name} LIMIT 1") for table in rotation.TABLES)  # noqa: S608 - our own


# Opens what the settings name for knowing callers, or says in words why that cannot be.


def open_authentication(settings: AccessSettings, log: EventLog, now: Callable[[], datetime]) -> Authentication | None:
    """Who may call; None: nobody is asked. Raises StartRefusedError."""
    if not settings.knows_callers:
        return None
    return Authentication(
        now,
        file=_file(settings.auth_file) if settings.auth_file else None,
        table=TokenTable(log) if settings.auth == "database" else None,
        signed=_signed(settings, settings.jwt_jwks_file) if settings.jwt_jwks_file else None,
    )


def _file(path: Path) -> KnownByFile:
    try:
        return KnownByFile(path)
    except FileNotFoundError:
        words = f"REDRIVE_AUTH_FILE: there is no file {path}: `redrive-server tokens create` makes it"
        raise StartRefusedError(words) from None
    except (OSError, ValueError) as error:
        raise StartRefusedError(f"REDRIVE_AUTH_FILE: {path} cannot be used: {error}") from None


def _signed(settings: AccessSettings, path: Path) -> SignedTokens:
    try:
        return SignedTokens(issuer=settings.jwt_issuer, audience=settings.jwt_audience, jwks_file=path)
    except (OSError, ValueError) as error:
        raise StartRefusedError(f"REDRIVE_JWT_JWKS_FILE: {path} cannot be used: {error}") from None


def open_certificates(settings: AccessSettings) -> Certificates | None:
    """The server's certificate; None: no TLS. Raises StartRefusedError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except CertificateError as error:
        raise StartRefusedError(str(error)) from None
