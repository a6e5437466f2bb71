"""The parts of a Graph batch as its form holds them: quoted JSON, in it a form, and in that quoted JSON again."""

import json
from collections.abc import Iterator, Sequence
from secrets import token_hex
from urllib.parse import urlencode

import msgspec

from server.channels.channel import OutgoingMessage
from server.channels.form_quoting import quoted_again, quoted_json
from server.channels.graph_fields import json_text, message_fields

_RECIPIENT, _TEXT, _DELIVERY = _MARKS = tuple(token_hex(16) for _ in range(3))  # random: they occur in no content
_lines_of_json = json.JSONEncoder(separators=("\n", ":")).encode


class BatchParts:
    """Writes the parts of one batch: what they have in common once, as a pattern that their differences go into."""

    def __init__(self, relative_url: str, proof: dict[str, str]) -> None:
        self._relative_url = relative_url
        self._proof = proof
        self._pattern = ""
        self._shape: object = None

    def write(self, messages: Sequence[OutgoingMessage]) -> list[str]:
        """A text for each of one or more messages; raises ValueError for what JSON cannot hold."""
        differences = _quoted_differences(messages)
        return [self._pattern_for(it).format(*its_own) for it, its_own in zip(messages, differences, strict=True)]

    def _pattern_for(self, message: OutgoingMessage) -> str:
        shape = _shape(message)
        if shape != self._shape:
            self._pattern, self._shape = self._pattern_like(message), shape
        return self._pattern

    def _pattern_like(self, message: OutgoingMessage) -> str:
        """The part with marks in it, which are made places; what is quoted holds no braces of its own."""
        pattern = quoted_json(json_text(self._part(_marked(message))))
        for place, mark in enumerate(_MARKS):
            pattern = pattern.replace(_twice_quoted(f'"{mark}"'), f"{{{place}}}")
        return pattern

    def _part(self, message: OutgoingMessage) -> dict[str, str]:
        fields = message_fields(message) | self._proof
        form = {name: value if isinstance(value, str) else json_text(value) for name, value in fields.items()}
        return {"method": "POST", "relative_url": self._relative_url, "body": urlencode(form)}


def _shape(message: OutgoingMessage) -> object:
    """All that a pattern depends on; attachments by identity, as templates that are equal may differ in JSON."""
    content = message.content
    return (
        bool(content.text),
        bool(message.delivery_id),
        id(content.attachment),
        content.quick_replies,
        content.messaging_type,
        content.tag,
        content.notification_type,
    )


def _marked(message: OutgoingMessage) -> OutgoingMessage:
    """The message with marks for its differences; what is empty stays so, as it does not leave."""
    content = msgspec.structs.replace(message.content, text=_TEXT if message.content.text else "")
    delivery_id = _DELIVERY if message.delivery_id else ""
    return OutgoingMessage(recipient_id=_RECIPIENT, delivery_id=delivery_id, content=content)


def _quoted_differences(messages: Sequence[OutgoingMessage]) -> Iterator[tuple[str, str, str]]:
    """What goes into each pattern. All of it is quoted at one go, line by line: JSON holds no line break of its own."""
    differences = [text for it in messages for text in (it.recipient_id, it.content.text, it.delivery_id)]
    lines = iter(_twice_quoted(_lines_of_json(differences)[1:-1]).split("\n"))
    return zip(lines, lines, lines, strict=True)


def _twice_quoted(text: str) -> str:
    """JSON in a form in JSON in a form: quoted once, it is JSON as it stands."""
    return quoted_again(quoted_json(text))
