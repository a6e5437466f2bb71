"""Send with Redrive's HTTP client alone, 100 requests in flight, no log and no status: the upper limit.

Run `python -m bench.bare_loop single` or `batch`, with the endpoint's address in BENCH_GRAPH_URL.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from urllib.parse import urlencode, urljoin

import httpx
import uvloop

from bench.calls import serve
from bench.job import HEADERS, body_of, path_of, people
from server.messenger.http import HttpClient, open_client

IN_FLIGHT = 100
PARTS = 50  # parts of a Graph batch; the platform's limit
_URL = os.environ["BENCH_GRAPH_URL"]

Attempt = Callable[[HttpClient, Sequence[str]], Awaitable[Sequence[str]]]


async def attempt_single(client: HttpClient, persons: Sequence[str]) -> Sequence[str]:
    """Post to one recipient; return the refused ones."""
    [person] = persons
    request = httpx.Request("POST", f"{_URL}/{path_of(person)}", json=body_of(person), headers=HEADERS)
    answer = await client.handle_async_request(request)
    return [] if answer.status_code == httpx.codes.OK else persons


async def attempt_batch(client: HttpClient, persons: Sequence[str]) -> Sequence[str]:
    """Post to all recipients in one Graph batch; return the refused ones."""
    form = {"batch": json.dumps([_part(person) for person in persons]), "include_headers": "true"}
    answer = await client.handle_async_request(httpx.Request("POST", urljoin(_URL, "/"), data=form, headers=HEADERS))
    parts = zip(persons, json.loads(await answer.aread()), strict=True)
    return [person for person, part in parts if part["code"] != httpx.codes.OK]


def _part(person: str) -> dict[str, str]:
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body_of(person).items()}
    return {"method": "POST", "relative_url": path_of(person), "body": urlencode(fields)}


async def send_once(client: HttpClient, attempt: Attempt, size: int, persons: Sequence[str]) -> list[str]:
    """Send once to all recipients, `size` per request; return the refused ones."""
    left = iter(persons)
    refused: list[str] = []

    async def worker() -> None:
        while chunk := list(islice(left, size)):
            refused.extend(await attempt(client, chunk))

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return refused


async def _opened() -> HttpClient:
    return open_client()


def main() -> None:
    """Run campaigns that the parent process requests over stdin."""
    attempt, size = {"single": (attempt_single, 1), "batch": (attempt_batch, PARTS)}[sys.argv[1]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        client = runner.run(_opened())

        def campaign(first: int, count: int) -> float:
            began, left = time.monotonic(), people(first, count)
            for _ in range(2):
                left = runner.run(send_once(client, attempt, size, left))
            if left:
                raise RuntimeError(f"{len(left)} recipients were refused twice")
            return time.monotonic() - began

        serve(campaign)
        runner.run(client.aclose())


if __name__ == "__main__":
    main()
