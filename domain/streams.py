"""The names of the log's streams: one per aggregate."""


def message_stream(message_id: str) -> str:
    """The stream of a message."""
    return f"message/{message_id}"


def batch_stream(message_id: str, stage: int, number: int) -> str:
    """The stream of a batch; `stage` keeps a second try with a request_id apart from what an abandoned one left."""
    return f"batch/{message_id}/{stage}/{number}"


def receipts_stream(message_id: str, stage: int, number: int) -> str:
    """The stream of a batch's receipts; on the batch's own they would conflict with its worker (protocol rule 4)."""
    return f"receipts/{message_id}/{stage}/{number}"


def cleanup_stream(cleanup_id: str) -> str:
    """The stream of a cleanup."""
    return f"cleanup/{cleanup_id}"


def person_stream(recipient_id: str) -> str:
    """The stream of a person, whatever messages they get."""
    return f"person/{recipient_id}"


def page_stream(page_id: str) -> str:
    """The stream of a page."""
    return f"page/{page_id}"
