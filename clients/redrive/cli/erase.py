"""`redrive erase`: forgets a person."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.v1.maintenance_service_pb2 import ErasePersonResponse


async def erase_person(
    session: Session,
    recipient_id: Annotated[
        str, typer.Argument(metavar="RECIPIENT", show_default=False, help="The id under which the person was sent to.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Without asking; needed where nobody can be asked.")] = False,
) -> None:
    """Forgets a person: names and variables can be read no more, and nothing that waits for them leaves.

    In all messages, of all owners, and for good: the keys that open them are destroyed. Counts and reports stay as they
    are, and so does the id. Exit code 0 also for somebody who was erased before.
    """
    if not yes:
        typer.confirm(f"Forget {recipient_id} for good?", abort=True, err=True)
    session.output.show(await session.client.erase_person(recipient_id), _render)


def _render(answer: ErasePersonResponse) -> Iterator[RenderableType]:
    messages = answer.messages_affected
    if messages:
        yield Text(f"Erased from {messages:,} {'message' if messages == 1 else 'messages'}.")
    else:
        yield Text("Nothing was left to erase.")
