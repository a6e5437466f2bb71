"""The composition root: builds one server process from its settings."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import structlog
from eventsourcing.persistence import PersistenceError

from projections import pages
from server.api.fair_reads import CallerLog
from server.api.interceptors.gate import Gate
from server.api.interceptors.limits import Limits
from server.api.server import build_server
from server.api.services import Services
from server.auth.auth_file import FileCredentials
from server.auth.authentication import Authentication
from server.auth.certificates import CertificateError, Certificates
from server.auth.signed_tokens import SignedTokens
from server.auth.token_table import TokenTable
from server.background.background_tasks import BackgroundTasks
from server.background.due_rounds import DueRounds
from server.background.reconciler import Reconciler
from server.background.retry_timer import RetryTimer
from server.background.round_finalizer import RoundFinalizer
from server.background.stuck_batches import StuckBatches
from server.background.timetable import parse_timetable
from server.cluster.page_leases import PageLeases
from server.commands.cleanup import CleanupService
from server.commands.cleanup_worker import CleanupWorker
from server.commands.erasure import ErasureService
from server.commands.lifecycle import CancelService, PauseService
from server.commands.pages import PageHoldService, PageShareService, PutPageService
from server.commands.receipts import ReceiptService
from server.commands.resend import ResendService
from server.commands.rounds import AutomaticRoundService
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto import rotation, server_keys
from server.crypto.key_ring import SealingKey, load_or_create_key, parse_key
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog
from server.eventstore.event_store import EventStore
from server.eventstore.follower import Follower
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.sqlite.store import SqliteStore
from server.eventstore.store import Store
from server.messenger.channel import Channel
from server.observability.calls import ObservedCalls
from server.observability.event_logging import log_events
from server.progress.hub import ProgressHub
from server.queries.history import History
from server.queries.recipient_names import RecipientNames
from server.runtime.open_files import caller_connections, raise_limit
from server.sending.dispatcher import Dispatcher
from server.settings import AccessSettings, Settings

logger = structlog.get_logger()

PAGE_LEASE_SECONDS = 6.0  # after a crash, another process takes over the pages within 10 s, poll included


class StartRefusedError(Exception):
    """The server cannot start; the text says why, and what to do."""


def open_store(settings: Settings) -> Store:
    """Open the database that the settings name; raises StartRefusedError."""
    if settings.is_embedded:
        return _open_sqlite(settings)
    try:
        return PostgresStore(settings.database_url)
    except PostgresStore.unavailable_errors as error:
        raise StartRefusedError(f"the database of REDRIVE_DATABASE_URL cannot be used: {error}") from error


def _open_sqlite(settings: Settings) -> SqliteStore:
    path = settings.sqlite_path
    if not path.parent.is_dir():
        raise StartRefusedError(f"REDRIVE_DATABASE_URL: the folder {path.parent} does not exist: create it first")
    try:
        return SqliteStore(path)
    except (sqlite3.Error, PersistenceError) as error:
        raise StartRefusedError(f"REDRIVE_DATABASE_URL: {path} cannot be used as a database: {error}") from error


def event_store_over(store: Store, settings: Settings) -> EventStore:
    """Return the event store over a database; on PostgreSQL it follows the commits of other processes."""
    if isinstance(store, PostgresStore):
        return EventStore(store, Follower(store, settings.database_url))
    return EventStore(store)


def open_vault(store: Store, settings: Settings) -> Vault:
    """Open the vault of a database; raises StartRefusedError, and SecretKeyError without a usable key."""
    key = secret_key(store, settings)
    with store.transaction(commit=False) as sql:
        if server_keys.is_rotating(sql):
            raise StartRefusedError(
                "a key rotation was interrupted: run `redrive-server keys rotate` again with the same keys"
            )
        if not rotation.opens_first_rows(sql, key):
            raise StartRefusedError("the key does not decrypt this database: see REDRIVE_SECRET_KEY")
        payload_key, label_key = server_keys.payload_key(sql, key), server_keys.label_key(sql, key)
    return Vault(key, payload_key, label_key or _made_label_key(store, key))


def _made_label_key(store: Store, key: SealingKey) -> SealingKey | None:
    """Create the key of labels, unless another process has just created it."""
    with store.transaction(commit=True) as sql:
        server_keys.make_label_key(sql, key)
        return server_keys.label_key(sql, key)


def secret_key(store: Store, settings: Settings) -> SealingKey:
    """Return the server's secret key; raises StartRefusedError, SecretKeyError."""
    if settings.secret_key is not None:
        return parse_key(settings.secret_key.get_secret_value())
    if not settings.is_embedded:
        raise StartRefusedError(
            "REDRIVE_SECRET_KEY is required with PostgreSQL, the same for every process: 32 bytes in base64,"
            " as from `openssl rand -base64 32`"
        )
    path = key_file(settings)
    if not path.exists() and _holds_secrets(store):
        raise StartRefusedError(f"{path} is missing: restore it, or set REDRIVE_SECRET_KEY to its content")
    return load_or_create_key(path)


def key_file(settings: Settings) -> Path:
    """Return the path of an embedded database's key file, used without REDRIVE_SECRET_KEY."""
    return settings.sqlite_path.with_name(settings.sqlite_path.name + ".key")


def _holds_secrets(store: Store) -> bool:
    with store.transaction(commit=False) as sql:
        return any(sql.row(f"SELECT 1 FROM {table.name} LIMIT 1") for table in rotation.TABLES)  # noqa: S608 - our own


def open_authentication(settings: AccessSettings, log: EventLog, now: Callable[[], datetime]) -> Authentication | None:
    """Return how callers are authenticated; None without authentication. Raises StartRefusedError."""
    if not settings.knows_callers:
        return None
    return Authentication(
        now,
        file=_file(settings.auth_file) if settings.auth_file else None,
        table=TokenTable(log) if settings.auth == "database" else None,
        signed=_signed(settings, settings.jwt_jwks_file) if settings.jwt_jwks_file else None,
    )


def _file(path: Path) -> FileCredentials:
    try:
        return FileCredentials(path)
    except FileNotFoundError:
        reason = f"REDRIVE_AUTH_FILE: the file {path} does not exist: `redrive-server tokens create` creates it"
        raise StartRefusedError(reason) from None
    except (OSError, ValueError) as error:
        raise StartRefusedError(f"REDRIVE_AUTH_FILE: {path} cannot be used: {error}") from None


def _signed(settings: AccessSettings, path: Path) -> SignedTokens:
    try:
        return SignedTokens(issuer=settings.jwt_issuer, audience=settings.jwt_audience, jwks_file=path)
    except (OSError, ValueError) as error:
        raise StartRefusedError(f"REDRIVE_JWT_JWKS_FILE: {path} cannot be used: {error}") from None


def open_certificates(settings: AccessSettings) -> Certificates | None:
    """Return the server's certificate; None without TLS. Raises StartRefusedError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except CertificateError as error:
        raise StartRefusedError(str(error)) from None


def now() -> datetime:
    """Return the time of the system clock, in UTC."""
    return datetime.now(UTC)


def _gate(settings: Settings, log: EventLog, open_files: int) -> Gate:
    limits = Limits(
        requests_per_second=settings.request_rate,
        requests_burst=settings.requests_burst,
        watches_per_caller=settings.watches_per_caller,
        streams_per_connection=settings.streams_per_connection,
        call_seconds=settings.call_seconds,
        stream_seconds=settings.stream_seconds,
        read_seconds=settings.read_seconds,
        stream_idle_seconds=settings.stream_idle_seconds,
        request_bytes=settings.request_bytes,
        calls_at_once=settings.calls_at_once,
        connections=caller_connections(open_files, settings.connections),
        send_streams_per_caller=settings.send_streams_per_caller,
        refusals_per_second=settings.refusals_per_second,
        refusals_burst=settings.refusals_burst,
    )
    if settings.knows_callers and settings.tls_cert is None and not settings.is_local:
        logger.warning("tokens_in_the_clear", mend="set REDRIVE_TLS_CERT and REDRIVE_TLS_KEY, or let a proxy do TLS")
    authentication = open_authentication(settings, log, now)
    return Gate(authentication, limits, reflection_is_open=settings.reflection == "open")


async def _warn_of_pages_without_owner(log: EventLog) -> None:
    """Log pages of older releases: any caller with the scope may change them until an admin sets their owner."""
    if count := await log.read(pages.count_without_owner):
        logger.warning("pages_without_owner", pages=count, mend="redrive page transfer PAGE CALLER, as an admin")


def _page_leases(settings: Settings, log: EventLog, worker: str) -> PageLeases:
    return PageLeases(
        log,
        worker,
        lease=timedelta(seconds=min(PAGE_LEASE_SECONDS, settings.lease_seconds)),
        batch_lease=timedelta(seconds=settings.lease_seconds),
        alone=settings.is_embedded,
    )


class RedriveServer:
    """One server process: the gRPC API, and everything that sends and retries in the background."""

    def __init__(
        self, settings: Settings, log: EventLog, vault: Vault, channel: Channel, calls: ObservedCalls | None = None
    ) -> None:
        self._settings = settings
        self._log = log
        worker = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        leases = _page_leases(settings, log, worker)
        dispatcher = Dispatcher(log, vault, channel, leases, now)
        self.rates = dispatcher.rates
        self._cleanups = CleanupWorker(log, now)
        services = self._services(vault, channel, dispatcher, worker)
        self._history = services.history
        self._background_tasks = self._background(services, dispatcher, leases, worker)
        self._certificates = open_certificates(settings)
        self._api = build_server(
            services,
            calls=calls,
            channelz=settings.channelz,
            gate=_gate(settings, log, raise_limit()),
            reflects=settings.reflection != "off",
        )
        log.listen(log_events)

    def _services(self, vault: Vault, channel: Channel, dispatcher: Dispatcher, worker: str) -> Services:
        """Return what callers use; their reads share some of the event store's readers."""
        settings, log = self._settings, CallerLog(self._log)
        sends = SendService(log, vault, now)
        heartbeat = timedelta(seconds=settings.heartbeat_seconds)
        return Services(
            log=log,
            sends=sends,
            streams=StreamSendService(log, vault, sends, now, worker),
            resends=ResendService(log, vault, now),
            cancels=CancelService(log, now),
            pauses=PauseService(log, now),
            pages=PutPageService(log, vault, channel, now, settings.messages_per_second),
            holds=PageHoldService(log, vault, now),
            shares=PageShareService(log, now),
            receipts=ReceiptService(log, vault.ids, now),
            cleanups=CleanupService(log, self._cleanups, now),
            erasures=ErasureService(log, vault, now),
            names=RecipientNames(log, vault),
            labels=vault.labels,
            progress=ProgressHub(self._log, now, heartbeat, first_reads=log),
            timer=RetryTimer(log, AutomaticRoundService(log, now), parse_timetable(settings.retry_interval), now),
            stuck_batches=StuckBatches(log, dispatcher, worker, now),
            history=History(log, now),
        )

    def _background(
        self, services: Services, dispatcher: Dispatcher, leases: PageLeases, worker: str
    ) -> BackgroundTasks:
        log = self._log
        rounds = AutomaticRoundService(log, now)
        finalizer = RoundFinalizer(log, rounds, worker, now)
        timer = RetryTimer(log, rounds, parse_timetable(self._settings.retry_interval), now)
        reconciler = Reconciler(log, finalizer, services.cancels, services.streams, worker, now)
        return BackgroundTasks(leases, dispatcher, finalizer, timer, DueRounds(log, rounds, worker), reconciler)

    async def start(self) -> str:
        """Start to answer calls and to send; return the address of the API."""
        address = await self._api.start(self._settings.listen, self._certificates)
        await self._background_tasks.start()
        self._cleanups.start()
        if self._settings.knows_callers:
            await _warn_of_pages_without_owner(self._log)
        logger.info(
            "listening",
            address=address,
            database="sqlite" if self._settings.is_embedded else "postgresql",
            graph_url=self._settings.graph_url,
            messages_per_second=self._settings.messages_per_second,
            retry_interval=self._settings.retry_interval,
        )
        return address

    @property
    def is_broken(self) -> bool:
        """Return whether a background task has failed."""
        return self._background_tasks.broken.is_set()

    async def run_until(self, stop: asyncio.Event) -> None:
        """Run until the stop event is set or a background task fails."""
        ends = [asyncio.create_task(event.wait()) for event in (stop, self._background_tasks.broken)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    async def drain(self) -> None:
        """Stop sending, record what is in flight, and end the calls, all within the grace period."""
        grace = timedelta(seconds=self._settings.drain_seconds)
        logger.info("draining", grace_seconds=grace.total_seconds())
        await asyncio.gather(self._background_tasks.drain(grace), self._api.stop(grace), self._cleanups.close())
        self._history.close()
        logger.info("stopped")
