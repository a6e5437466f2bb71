"""The entry point: the command line of redrive-server, and the service that it runs without a command."""

import asyncio
import gc
import signal
import sys

import structlog
import typer
import uvloop

from server.bootstrap import RedriveServer, event_store_over, open_store, open_vault
from server.cli.archive import archive
from server.cli.doctor.command import doctor
from server.cli.errors import exit_on_error
from server.cli.hold import hold
from server.cli.keys import keys
from server.cli.maintenance import migrate, rebuild
from server.cli.sandbox import sandbox
from server.cli.tokens import tokens
from server.cli.webhooks import webhooks
from server.messenger.http import open_check_client, open_client, timeout_with_read
from server.messenger.messenger_channel import MessengerChannel
from server.observability.logging import configure, log_lost_exceptions
from server.observability.telemetry import open_telemetry
from server.runtime.open_files import platform_connections, raise_limit
from server.settings import Settings, read_settings, unknown_names

logger = structlog.get_logger()

# Allocations before the garbage collector visits the young generation, and collections before it visits the next ones.
# Reference counting frees most objects of a batch first; Python's defaults (700, 10, 10) cost 2 percent of the time.
COLLECTION_THRESHOLDS = (20_000, 20, 50)
# How long a reader thread may hold Python's lock while the event loop waits for it. With Python's default of 5 ms, two
# readers cause most of the waiting time of a concurrent call.
SWITCH_SECONDS = 0.001

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
    """The service stopped because one of its background tasks failed."""


@cli.callback(invoke_without_command=True)
def run(context: typer.Context) -> None:
    """Redrive sends one message to very many Messenger recipients, and resends it safely.

    Without a command it runs the service. Settings are environment variables that begin with REDRIVE_ (see the README),
    or one TOML file that REDRIVE_CONFIG names.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        with exit_on_error("redrive-server does not start"):
            _run_service()
    except typer.Exit:
        raise
    except Exception:
        logger.exception("service_broke")  # without the exception's text, which may hold a secret
        raise typer.Exit(1) from None


def _run_service() -> None:
    settings = read_settings()
    configure(settings.log_level, settings.log_format)
    for name in unknown_names():
        logger.warning("unknown_setting", name=name)
    uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Run the service until SIGTERM or SIGINT, then drain it."""
    stop = asyncio.Event()
    log_lost_exceptions(asyncio.get_running_loop())
    for stopping in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stopping, stop.set)
    store = open_store(settings)
    vault = open_vault(store, settings)
    timeout = timeout_with_read(settings.answer_seconds)
    connections = platform_connections(raise_limit())
    async with (
        event_store_over(store, settings) as log,
        open_client(max_connections=connections, timeout=timeout) as client,
        open_check_client() as check_client,
        open_telemetry(settings.metrics_listen) as telemetry,
    ):
        channel = telemetry.over_channel(MessengerChannel(client, settings.graph_url, check_client=check_client))
        server = RedriveServer(settings, telemetry.over_log(log), vault, channel, telemetry.calls)
        async with telemetry.shown(log, server.rates):
            await server.start()
            _tune_interpreter()
            await server.run_until(stop)
            await server.drain()
        if server.is_broken:
            raise StoppedByDefectError("a background task failed; the log says why")


def _tune_interpreter() -> None:
    gc.freeze()  # exclude start-up objects from garbage collection
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)


if __name__ == "__main__":
    sys.exit(cli())
