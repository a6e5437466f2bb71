"""The command line as a whole."""

import sys

import typer

from redrive.cli import (
    batches,
    cancel,
    cleanup,
    dashboard,
    deliveries,
    erase,
    events,
    export,
    failed,
    failures,
    messages,
    pages,
    pause,
    report,
    resend,
    retries,
    retry,
    send,
    watch,
)
from redrive.cli.command import accept_settings, add_command
from redrive.cli.exits import EXIT_CODES_HELP, ExitCode
from redrive.cli.plain_flags import Group
from redrive.visible_text import shown_lines

app = typer.Typer(
    name="redrive",
    cls=Group,
    help="Sends one message to very many people, shows every attempt, and resends safely.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
page_app = typer.Typer(cls=Group, help="The pages that send, and their tokens.", no_args_is_help=True)
retry_app = typer.Typer(cls=Group, help="The timer that retries by itself, and stuck batches.", no_args_is_help=True)

accept_settings(app)
add_command(app, "send", send.send)
add_command(app, "watch", watch.watch_message)
add_command(app, "messages", messages.list_messages)
add_command(app, "message", messages.show_message)
add_command(app, "failed", failed.list_failed)
add_command(app, "failures", failures.summarize_failures)
add_command(app, "resend", resend.resend)
add_command(app, "retries", retries.list_retries)
add_command(app, "deliveries", deliveries.list_deliveries)
add_command(app, "batches", batches.list_batches)
add_command(app, "events", events.list_events)
add_command(app, "report", report.report)
add_command(app, "export", export.export)
add_command(app, "pause", pause.pause_message)
add_command(app, "resume", pause.resume_message)
add_command(app, "cancel", cancel.cancel_message)
add_command(app, "cleanup", cleanup.cleanup)
add_command(app, "erase", erase.erase_person)
add_command(app, "dashboard", dashboard.dashboard)
add_command(page_app, "put", pages.put_page)
add_command(page_app, "hold", pages.hold_page)
add_command(page_app, "release", pages.release_page)
add_command(page_app, "share", pages.share_page)
add_command(page_app, "transfer", pages.transfer_page)
add_command(page_app, "list", pages.list_pages)
add_command(retry_app, "run", retry.run)
add_command(retry_app, "schedule", retry.show_schedule)
add_command(retry_app, "process", retry.process)
app.add_typer(page_app, name="page")
app.add_typer(retry_app, name="retry")


def main() -> None:
    """Runs the command that stands in the arguments."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets words and a script its exit code
        typer.echo(f"Something unexpected happened: {type(error).__name__}: {shown_lines(str(error))}", err=True)
        sys.exit(ExitCode.UNEXPECTED)
