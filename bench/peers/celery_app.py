"""Celery on Redis: a task per person, its status in the result backend."""

import os
import time

from celery import Celery

from bench.calls import serve
from bench.job import people
from bench.peers.posting import RefusedError, post

_REDIS = os.environ["BENCH_STORE_URL"]
_CHUNK = 500  # statuses that are asked for at a time

app = Celery("bench", broker=f"{_REDIS}/0", backend=f"{_REDIS}/1")
app.conf.update(
    task_acks_late=True,  # a task whose worker dies is done again: nothing is lost
    worker_prefetch_multiplier=64,  # many short tasks
    broker_pool_limit=32,  # as many as there are threads
)
send = app.task(name="send", autoretry_for=(RefusedError,), max_retries=3, default_retry_delay=0)(post)


def campaign(first: int, count: int) -> float:
    """Sends to so many people; the seconds until the last status is stored."""
    ids = people(first, count)
    began = time.monotonic()
    for person in ids:
        send.apply_async((person,), task_id=person)
    for start in range(0, count, _CHUNK):
        statuses = app.backend.get_many(ids[start : start + _CHUNK], interval=0.02)
        if any(status["status"] != "SUCCESS" for _, status in statuses):
            raise RuntimeError("a task was given up")
    return time.monotonic() - began


if __name__ == "__main__":
    serve(campaign)
