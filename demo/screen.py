"""Terminal output of the demo: a progress bar, the failures_table by error type, and the counts."""

from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from redrive import Client
from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.error_pb2 import ErrorType, ErrorTypeCount
from redrive.v1.message_pb2 import Counts

_PREFIX = "ERROR_TYPE_"


async def watch(client: Client, console: Console, message_id: str) -> None:
    """Show the progress until the message is done."""
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("[green]{task.fields[counts].sent} sent  [red]{task.fields[counts].failed} failed"),
        TextColumn("[dim]{task.fields[pace]:.0f} messages/s"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", counts=Counts(), pace=0.0)
        async for answer in client.watch_progress(message_id):
            counts, pace = answer.progress.counts, answer.progress.messages_per_second
            done = counts.total - counts.pending - counts.sending
            bar.update(task, total=counts.total, completed=done, counts=counts, pace=pace)


def failures_table(counts: Iterable[ErrorTypeCount], samples: Iterable[FailedRecipient]) -> Table:
    """Return a table of the failed recipients by error type, each with one example."""
    examples = {failed.last_error_type: failed for failed in samples}
    table = Table("Error type", "Recipients", "Example", "Platform's error message")
    for entry in sorted(counts, key=lambda entry: -entry.count):
        example = examples[entry.error_type]
        name = ErrorType.Name(entry.error_type).removeprefix(_PREFIX)
        table.add_row(name, str(entry.count), example.recipient_name, example.last_error_message)
    return table


def counts_table(counts: Counts) -> Table:
    """Return a table with the number of recipients in each status."""
    table = Table("Total", "= Pending", "+ Sending", "+ Sent", "+ Failed", "+ Unconfirmed", "+ Cancelled")
    numbers = (counts.pending, counts.sending, counts.sent, counts.failed, counts.unconfirmed, counts.cancelled)
    table.add_row(str(counts.total), *map(str, numbers))
    return table
