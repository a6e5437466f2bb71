"""The composition root: builds the service, starts it, and drains it when it is told to stop."""

import asyncio
import gc
import os
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import structlog
import typer
import uvloop

from projections import pages
from server.api.fair_reads import CallerLog
from server.api.interceptors.gate import Gate
from server.api.interceptors.limits import Limits
from server.api.server import ApiServer, build_server
from server.background.due_rounds import DueRounds
from server.background.reconciler import Reconciler
from server.background.retry_timer import RetryTimer
from server.background.round_finalizer import RoundFinalizer
from server.background.services import DeliveryService
from server.background.stuck_batches import StuckBatches
from server.background.timetable import parse_timetable
from server.bootstrap import StartRefusedError, log_of, open_authentication, open_certificates, open_store, open_vault
from server.cli.archive import archive
from server.cli.doctor.command import doctor
from server.cli.hold import hold
from server.cli.keys import keys
from server.cli.maintenance import migrate, rebuild
from server.cli.sandbox import sandbox
from server.cli.tokens import tokens
from server.cli.webhooks import webhooks
from server.cluster.page_leases import PageLeases
from server.commands.cleanup import CleanupService
from server.commands.cleanup_run import CleanupRun
from server.commands.erasure import ErasureService
from server.commands.lifecycle import CancelService, PauseService
from server.commands.pages import PageHoldService, PageShareService, PutPageService
from server.commands.receipts import ReceiptService
from server.commands.resend import ResendService
from server.commands.rounds import AutomaticRoundService
from server.commands.send import SendService
from server.commands.send_stream import StreamSendService
from server.crypto.key_ring import SecretKeyError
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog
from server.eventstore.schema import DatabaseIsNewerError
from server.eventstore.sqlite.store import DatabaseInUseError
from server.messenger.channel import Channel
from server.messenger.http import answered_within, open_check_client, open_client
from server.messenger.messenger_channel import MessengerChannel
from server.observability.calls import Calls
from server.observability.event_logging import tell
from server.observability.logging import configure, log_lost_exceptions
from server.observability.telemetry import open_telemetry
from server.observability.tracing import TracingRefusedError
from server.progress.hub import ProgressHub
from server.queries.history import History
from server.queries.recipient_names import Names
from server.runtime.open_files import caller_connections, platform_connections, raise_limit
from server.sending.dispatcher import Dispatcher
from server.settings import Settings, SettingsError, read_settings, unknown_names

logger = structlog.get_logger()

# Objects made, and collections of the young and of the middle-aged, before the next kind of collection: most of what a
# batch needs is gone by itself before the collector looks. Python's own 700, 10, 10 cost 2 percent of the time.
COLLECTED_AFTER = (20_000, 20, 50)
# That a reader's thread may keep Python's lock from the event loop each time that the loop wants it; Python's own 5 ms,
# twice for two readers, are most of what a call beside them waits.
SWITCH_SECONDS = 0.001
OWNERSHIP_SECONDS = 6.0  # without a sign of life, before a process's pages go to another: within 10 s, with a poll

cli = typer.Typer(rich_markup_mode=None, add_completion=False)
cli.command("sandbox")(sandbox)
cli.command("webhooks")(webhooks)
cli.add_typer(keys, name="keys")
cli.command("doctor")(doctor)
cli.command("migrate")(migrate)
cli.command("rebuild")(rebuild)
cli.command("archive")(archive)
cli.command("hold")(hold)
cli.add_typer(tokens, name="tokens")


class StoppedByDefectError(Exception):
    """The service stopped because of a defect of its own."""


@cli.callback(invoke_without_command=True)
def run(context: typer.Context) -> None:
    """Redrive: sends one message to very many Messenger recipients, and resends safely.

    Without a command it runs the service. Settings are environment variables that begin with REDRIVE_ (see the README),
    or one TOML file that REDRIVE_CONFIG points to.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        settings = read_settings()
        configure(settings.log_level, settings.log_format)
        for name in unknown_names():
            logger.warning("unknown_setting", name=name)
        uvloop.run(serve(settings))
    except (SettingsError, StartRefusedError, SecretKeyError, TracingRefusedError) as error:
        _refuse(str(error))
    except (DatabaseInUseError, DatabaseIsNewerError, OSError) as error:
        _refuse(str(error))
    except Exception:
        logger.exception("service_broke")  # Python's own way would show the exception's text
        raise typer.Exit(1) from None


def _refuse(words: str) -> None:
    typer.echo(f"redrive-server does not start: {words}", err=True)
    raise typer.Exit(1)


async def serve(settings: Settings) -> None:
    """Runs the service until SIGTERM or SIGINT, then drains it."""
    stop = asyncio.Event()
    log_lost_exceptions(asyncio.get_running_loop())
    for stopping in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stopping, stop.set)
    store = open_store(settings)
    vault = open_vault(store, settings)
    timeout = answered_within(settings.answer_seconds)
    connections = platform_connections(raise_limit())
    async with (
        log_of(store, settings) as log,
        open_client(max_connections=connections, timeout=timeout) as client,
        open_check_client() as check_client,
        open_telemetry(settings.metrics_listen) as telemetry,
    ):
        channel = telemetry.over_channel(MessengerChannel(client, settings.graph_url, check_client=check_client))
        service = Service(settings, telemetry.over_log(log), vault, channel, telemetry.calls)
        async with telemetry.shown(log, service.paces):
            await service.start()
            gc.freeze()  # what is there now stays: the collector need not look at it again and again
            gc.set_threshold(*COLLECTED_AFTER)
            sys.setswitchinterval(SWITCH_SECONDS)
            await service.run_until(stop)
            await service.drain()
        if service.is_broken:
            raise StoppedByDefectError("a part of the service broke; the log says why")


def now() -> datetime:
    """The wall clock, UTC."""
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
    """Any caller with the scope may replace their tokens, as before, until an admin gives them owners."""
    if count := await log.read(pages.without_owner):
        logger.warning("pages_without_owner", pages=count, mend="redrive page transfer PAGE CALLER, as an admin")


class Service:
    """One process of the service, wired together."""

    def __init__(
        self, settings: Settings, log: EventLog, vault: Vault, channel: Channel, calls: Calls | None = None
    ) -> None:
        self._settings = settings
        self._log = log
        worker = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        ownership = PageLeases(
            log,
            worker,
            lease=timedelta(seconds=min(OWNERSHIP_SECONDS, settings.lease_seconds)),
            batch_lease=timedelta(seconds=settings.lease_seconds),
            alone=settings.is_embedded,
        )
        dispatcher = Dispatcher(log, vault, channel, ownership, now)
        rounds = AutomaticRoundService(log, now)
        closer = RoundFinalizer(log, rounds, worker, now)
        timetable = parse_timetable(settings.retry_interval)
        timer = RetryTimer(log, rounds, timetable, now)
        log.listen(tell)
        calls_log = CallerLog(log)
        asked_timer = RetryTimer(calls_log, AutomaticRoundService(calls_log, now), timetable, now)
        cancels = CancelService(calls_log, now)
        sends = SendService(calls_log, vault, now)
        streams = StreamSendService(calls_log, vault, sends, now, worker)
        sweeper = Reconciler(log, closer, cancels, streams, worker, now)
        due_rounds = DueRounds(log, rounds, worker)
        self.paces = dispatcher.paces
        self._delivery = DeliveryService(ownership, dispatcher, closer, timer, due_rounds, sweeper)
        self._history = History(calls_log, now)
        self._cleanups = CleanupRun(log, now)
        self._certificates = open_certificates(settings)
        self._api: ApiServer = build_server(
            log=calls_log,
            sends=sends,
            streams=streams,
            resends=ResendService(calls_log, vault, now),
            cancels=cancels,
            pauses=PauseService(calls_log, now),
            pages=PutPageService(calls_log, vault, channel, now, settings.messages_per_second),
            holds=PageHoldService(calls_log, vault, now),
            shares=PageShareService(calls_log, now),
            receipts=ReceiptService(calls_log, vault.ids, now),
            cleanups=CleanupService(calls_log, self._cleanups, now),
            erasures=ErasureService(calls_log, vault, now),
            names=Names(calls_log, vault),
            labels=vault.labels,
            progress=ProgressHub(log, now, timedelta(seconds=settings.heartbeat_seconds), first_reads=calls_log),
            timer=asked_timer,
            stuck=StuckBatches(calls_log, dispatcher, worker, now),
            history=self._history,
            calls=calls,
            channelz=settings.channelz,
            gate=_gate(settings, log, raise_limit()),
            reflects=settings.reflection != "off",
        )

    async def start(self) -> str:
        """Begins to send and to answer; the address where it does."""
        address = await self._api.start(self._settings.listen, self._certificates)
        await self._delivery.start()
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
        """A part of it ended by an exception."""
        return self._delivery.broken.is_set()

    async def run_until(self, stop: asyncio.Event) -> None:
        """Works until it is told to stop, or a part of it breaks."""
        ends = [asyncio.create_task(event.wait()) for event in (stop, self._delivery.broken)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    async def drain(self) -> None:
        """Lets nothing more leave, records what is in flight, and ends calls, all at once."""
        grace = timedelta(seconds=self._settings.drain_seconds)
        logger.info("draining", grace_seconds=grace.total_seconds())
        await asyncio.gather(self._delivery.drain(grace), self._api.stop(grace), self._cleanups.close())
        self._history.close()
        logger.info("stopped")


if __name__ == "__main__":
    sys.exit(cli())
