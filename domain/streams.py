"""The names of the event store's streams, one per aggregate."""


def message_stream(message_id: str) -> str:
    """Return the name of a message's stream."""
    return f"message/{message_id}"


def batch_stream(message_id: str, stage: int, number: int) -> str:
    """Return the name of a batch's stream; `stage` separates a repeated request from an abandoned one before it."""
    return f"batch/{message_id}/{stage}/{number}"


def receipts_stream(message_id: str, stage: int, number: int) -> str:
    """Return the name of the stream of a batch's receipts.

    In the batch's own stream they would conflict with its worker (protocol rule 4).
    """
    return f"receipts/{message_id}/{stage}/{number}"


def cleanup_stream(cleanup_id: str) -> str:
    """Return the name of a cleanup's stream."""
    return f"cleanup/{cleanup_id}"


def person_stream(recipient_id: str) -> str:
    """Return the name of a person's stream, which is for all messages to the person."""
    return f"person/{recipient_id}"


def page_stream(page_id: str) -> str:
    """Return the name of a page's stream."""
    return f"page/{page_id}"
