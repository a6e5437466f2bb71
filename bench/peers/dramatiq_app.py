"""Dramatiq on Redis: one message per recipient, with its result in the result backend."""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.calls import serve
from bench.job import people
from bench.peers.posting import post

_REDIS = os.environ["BENCH_STORE_URL"]
_CHUNK = 500  # results per query
_POLL_SECONDS = 0.02
_SHORTEST_BACKOFF = 100  # milliseconds; the default is 15 seconds

results = RedisBackend(url=f"{_REDIS}/1")
broker = RedisBroker(url=f"{_REDIS}/0")
broker.add_middleware(Results(backend=results, store_results=True))
dramatiq.set_broker(broker)
retries = {"max_retries": 3, "min_backoff": _SHORTEST_BACKOFF, "max_backoff": _SHORTEST_BACKOFF}
send = dramatiq.actor(actor_name="send", **retries)(post)


def campaign(first: int, count: int) -> float:
    """Send to `count` recipients; return the seconds until the last result is stored."""
    began = time.monotonic()
    keys = [results.build_message_key(send.send(person)) for person in people(first, count)]
    for start in range(0, count, _CHUNK):
        chunk = keys[start : start + _CHUNK]
        while results.client.exists(*chunk) < len(chunk):
            time.sleep(_POLL_SECONDS)  # the backend can only wait for one result at a time
    return time.monotonic() - began


if __name__ == "__main__":
    serve(campaign)
