"""The text of a message before it is sent: what it asks for, and how one person will read it."""

import re

from redrive.v1.content_pb2 import Recipient

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


def variables_of(text: str) -> list[str]:
    """The variables that the text asks for, each once, in its order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def filled_in(text: str, recipient: Recipient) -> str:
    """The text for one person; what the person lacks stays as it stands."""
    values = {"name": recipient.name, **recipient.variables}
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)
