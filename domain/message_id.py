"""The ids of messages: which of them only a server with the secret key can make."""

from uuid import UUID

_VERSION_8 = "8"  # RFC 9562: a UUID whose content the application defines
_VERSION_AT = 14  # in a UUID's text


def keyed_message_id(digest: bytes) -> str:
    """Return the id that 16 secret or random bytes give: a UUID of version 8."""
    number = int.from_bytes(digest[:16], "big")
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return str(UUID(int=number | (0x8 << 76) | (0x2 << 62)))


def is_keyed(message_id: str) -> bool:
    """Return whether the id was made under the server's secret; releases before made UUIDs of versions 4 and 5."""
    return len(message_id) == 36 and message_id[_VERSION_AT] == _VERSION_8
