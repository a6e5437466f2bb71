"""A page's pause in words, wherever the CLI shows one."""

from redrive.cli.output import local_time
from redrive.v1.page_pb2 import PagePause


def until_and_why(pause: PagePause) -> str:
    """Return until when a page is paused, and why."""
    return f"until {local_time(pause.until_time)}: {pause.reason or 'no reason given'}"
