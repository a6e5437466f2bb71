"""What happens to a message's events themselves."""

from domain.event import Event


class MessageArchived(Event, frozen=True, kw_only=True):
    """All events of the message up to here stand in an archive file, and no longer in the log.

    It is the last event of the message's stream, and `version` is its own. `digest` is the file's SHA-256.
    """

    message_id: str
    owner: str
    version: int
    events: int
    file: str
    digest: str
