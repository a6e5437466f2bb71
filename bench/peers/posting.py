"""Request to the endpoint from a worker of processes or threads."""

import os
from functools import cache

import httpx

from bench.job import HEADERS, body_of, path_of


class RefusedError(Exception):
    """The endpoint refused the message."""


def post(person: str) -> str:
    """Post one message and return its id; raises RefusedError, which makes the queue retry."""
    answer = _client().post(path_of(person), json=body_of(person))
    if answer.status_code != httpx.codes.OK:
        raise RefusedError(answer.status_code)
    message_id: str = answer.json()["message_id"]
    return message_id


@cache
def _client() -> httpx.Client:
    """Return the worker's client; each process creates its own after the fork."""
    limits = httpx.Limits(max_connections=None)
    return httpx.Client(base_url=os.environ["BENCH_GRAPH_URL"], headers=HEADERS, limits=limits, timeout=30)
