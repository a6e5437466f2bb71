"""The program `redrive`."""

import sys

import typer

from redrive.cli import dashboard, deliveries, maintenance, messages, pages, reports, retries, send, watch
from redrive.cli.command import PlainFlagGroup, add_command, add_settings
from redrive.cli.exit_codes import EXIT_CODES_HELP, ExitCode
from redrive.texts.visible_text import shown_lines

app = typer.Typer(
    name="redrive",
    cls=PlainFlagGroup,
    help="Send one message to many recipients, show every attempt, and resend safely.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
page_app = typer.Typer(cls=PlainFlagGroup, help="Pages that send, and their tokens.", no_args_is_help=True)
retry_app = typer.Typer(cls=PlainFlagGroup, help="The retry timer, and stuck batches.", no_args_is_help=True)

add_settings(app)
add_command(app, "send", send.send)
add_command(app, "watch", watch.watch_message)
add_command(app, "messages", messages.list_messages)
add_command(app, "message", messages.show_message)
add_command(app, "failed", deliveries.list_failed)
add_command(app, "failures", reports.summarize_failures)
add_command(app, "resend", retries.resend)
add_command(app, "retries", retries.list_retries)
add_command(app, "deliveries", deliveries.list_deliveries)
add_command(app, "batches", deliveries.list_batches)
add_command(app, "events", messages.list_events)
add_command(app, "report", reports.report)
add_command(app, "export", reports.export)
add_command(app, "pause", messages.pause_message)
add_command(app, "resume", messages.resume_message)
add_command(app, "cancel", messages.cancel_message)
add_command(app, "cleanup", maintenance.cleanup)
add_command(app, "erase", maintenance.erase_person)
add_command(app, "dashboard", dashboard.dashboard)
add_command(page_app, "put", pages.put_page)
add_command(page_app, "hold", pages.hold_page)
add_command(page_app, "release", pages.release_page)
add_command(page_app, "share", pages.share_page)
add_command(page_app, "transfer", pages.transfer_page)
add_command(page_app, "list", pages.list_pages)
add_command(retry_app, "run", retries.run)
add_command(retry_app, "schedule", retries.show_schedule)
add_command(retry_app, "process", retries.process)
app.add_typer(page_app, name="page")
app.add_typer(retry_app, name="retry")


def main() -> None:
    """Run the command given in the arguments."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - any other error becomes a message and an exit code
        typer.echo(f"Unexpected error: {type(error).__name__}: {shown_lines(str(error))}", err=True)
        sys.exit(ExitCode.UNEXPECTED)
