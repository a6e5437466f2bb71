"""A schedule time that has passed: the message would leave at once, which may not be what was meant."""

from datetime import UTC, datetime, timedelta

import typer

from redrive.cli.exits import RefusedInput
from redrive.cli.pages import is_terminal
from redrive.times import time_passed


def confirm_past_time(time: datetime, *, yes: bool, only_warn: bool) -> None:
    """Warn of a schedule time more than a minute ago, and ask before anything is sent.

    With `yes` or `only_warn` (a dry run) it only warns. Raises RefusedInput where no terminal can be asked, and Abort
    for the answer no.
    """
    ago = time_passed(time, datetime.now(UTC))
    if ago is None:
        return
    warning = f"--schedule-time {time.isoformat()} was {_in_words(ago)} ago: the message is sent at once."
    if not yes and not only_warn and not is_terminal():
        raise RefusedInput(f"Nothing was sent. {warning} Give --yes if that is meant, or another time.")
    typer.echo(f"Warning: {warning}", err=True)
    if not yes and not only_warn:
        typer.confirm("Send it now?", abort=True, err=True)


def _in_words(ago: timedelta) -> str:
    minutes = int(ago.total_seconds() // 60)
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            count = minutes // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "a moment"
