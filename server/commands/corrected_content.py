"""The corrected content of a resend: checked against what is kept of the message's recipients, and sealed."""

from collections.abc import Collection, Iterator

from domain.commands import ResendMessage
from domain.content import Content, FillableContent, strings_of
from domain.errors import InvalidRequest, Violation
from domain.message import check_not_archived
from domain.placeholders import Fillable
from server.commands.lookup import load_message
from server.log.commit import EventLog
from server.log.vault import Vault


async def sealed_correction(log: EventLog, vault: Vault, command: ResendMessage) -> bytes:
    """Return the content of a resend, sealed with its message's key; empty for a resend without one.

    Raise InvalidRequest for a variable that was not kept, MessageIsArchived, Unavailable.
    """
    if command.content is None:
        return b""
    message = await load_message(log, command.message_id)
    check_not_archived(message)
    key = await log.read(vault.message_key(command.message_id))
    original = FillableContent(key.open_content(message.sealed_content), text_only=not message.fills_every_string)
    violations = list(_asks_for_more(command.content, {"name", *original.variables}))
    if violations:
        raise InvalidRequest(violations)
    return key.seal_content(command.content)


def _asks_for_more(corrected: Content, kept: Collection[str]) -> Iterator[Violation]:
    """Yield each string that asks for a variable that was not kept: only those are that the original asked for.

    With a default such a variable is allowed: every recipient gets the default.
    """
    for string in strings_of(corrected):
        asked = Fillable(string.text).placeholders.values()
        missing = {one.name for one in asked if one.name not in kept and one.default is None}
        if missing:
            names = ", ".join("{{" + name + "}}" for name in sorted(missing))
            words = f"asks for {names}, which was not kept: the original content did not ask for it"
            yield Violation(f"content.{string.path}", words)
