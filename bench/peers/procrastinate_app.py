"""Procrastinate on PostgreSQL: one job per recipient; the job's row is its status."""

import asyncio
import os
import time
from functools import cache

import httpx
from httpx_aiohttp import AiohttpTransport
from procrastinate import App, PsycopgConnector, RetryStrategy

from bench.calls import serve
from bench.job import HEADERS, body_of, path_of, people
from bench.peers.posting import RefusedError

_POLL_SECONDS = 0.05
_COUNT_OPEN = "SELECT count(*) AS open FROM procrastinate_jobs WHERE status <> 'succeeded'"

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_STORE_URL"]))


async def _post(person: str) -> None:
    answer = await _client().post(path_of(person), json=body_of(person))
    if answer.status_code != httpx.codes.OK:
        raise RefusedError(answer.status_code)


@cache
def _client() -> httpx.AsyncClient:
    """Return the worker's client, with Redrive's transport: stock httpx is slow with many requests in flight."""
    url = os.environ["BENCH_GRAPH_URL"]
    return httpx.AsyncClient(base_url=url, headers=HEADERS, transport=AiohttpTransport(), timeout=30)


send = app.task(name="send", retry=RetryStrategy(max_attempts=3, retry_exceptions={RefusedError}))(_post)


async def _campaign(first: int, count: int) -> float:
    async with app.open_async():
        began = time.monotonic()
        await send.batch_defer_async(*({"person": person} for person in people(first, count)))
        while (await app.connector.execute_query_one_async(_COUNT_OPEN))["open"]:  # noqa: ASYNC110 - workers
            await asyncio.sleep(_POLL_SECONDS)
        return time.monotonic() - began


def campaign(first: int, count: int) -> float:
    """Send to `count` recipients; return the seconds until the last job is done."""
    return asyncio.run(_campaign(first, count))


if __name__ == "__main__":
    serve(campaign)
