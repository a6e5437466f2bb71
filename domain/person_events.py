"""What happens to a person, whoever sends to them."""

from domain.event import Event, RequestStamp


class PersonErased(Event, frozen=True, kw_only=True):
    """What is known of a person under this id cannot be read any more, and nothing that waited for them leaves.

    The id stays: it is the page's pseudonym for the person, and says that somebody was sent to. `messages` are those
    that knew the person then.
    """

    recipient_id: str
    messages: tuple[str, ...]
    requested_by: str
    request: RequestStamp | None = None
