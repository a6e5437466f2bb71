"""Celery on Redis: one task per recipient, with its status in the result backend."""

import os
import time

from celery import Celery

from bench.calls import serve
from bench.job import people
from bench.peers.posting import RefusedError, post

_REDIS = os.environ["BENCH_STORE_URL"]
_CHUNK = 500  # statuses per query

app = Celery("bench", broker=f"{_REDIS}/0", backend=f"{_REDIS}/1")
app.conf.update(
    task_acks_late=True,  # a task whose worker crashes runs again, so none is lost
    worker_prefetch_multiplier=64,  # suits many short tasks
    broker_pool_limit=32,  # the number of threads
)
send = app.task(name="send", autoretry_for=(RefusedError,), max_retries=3, default_retry_delay=0)(post)


def campaign(first: int, count: int) -> float:
    """Send to `count` recipients; return the seconds until the last status is stored."""
    ids = people(first, count)
    began = time.monotonic()
    for person in ids:
        send.apply_async((person,), task_id=person)
    for start in range(0, count, _CHUNK):
        statuses = app.backend.get_many(ids[start : start + _CHUNK], interval=0.02)
        if any(status["status"] != "SUCCESS" for _, status in statuses):
            raise RuntimeError("a task failed")
    return time.monotonic() - began


if __name__ == "__main__":
    serve(campaign)
