"""All contenders in the order of their turns.

The settings of the queues follow their documentation; docs/performance.md cites the sources. Two queues run with two
settings, because a fast and a slow endpoint need different ones.
"""

import os
from collections.abc import Sequence

from bench.contenders.bare import BareLoop
from bench.contenders.contender import Contender
from bench.contenders.ours import Ours
from bench.contenders.queue import Queue
from bench.stores import running_postgres, running_redis
from redrive.v1.page_pb2 import SendMode

_CORES = os.cpu_count() or 1

_CELERY = ["celery", "--app", "bench.peers.celery_app", "worker", "--loglevel", "error"]
_CELERY_PREFORK = [*_CELERY, "--pool", "prefork", "--concurrency", str(2 * _CORES)]
_CELERY_THREADS = [*_CELERY, "--pool", "threads", "--concurrency", "32"]
_DRAMATIQ = ["dramatiq", "bench.peers.dramatiq_app", "--processes", str(_CORES), "--threads"]
_PROCRASTINATE = ["procrastinate", "--app", "bench.peers.procrastinate_app.app"]
_PROCRASTINATE_WORKER = [*_PROCRASTINATE, "worker", "--concurrency", "30", "--fetch-job-polling-interval", "0.1"]

CONTENDERS: Sequence[Contender] = (
    Ours("ours-sqlite-single", SendMode.SEND_MODE_SINGLE, on_postgres=False),
    Ours("ours-sqlite-batch", SendMode.SEND_MODE_BATCH, on_postgres=False),
    Ours("ours-postgres-single", SendMode.SEND_MODE_SINGLE, on_postgres=True),
    Ours("ours-postgres-batch", SendMode.SEND_MODE_BATCH, on_postgres=True),
    BareLoop("loop-single", "single"),
    BareLoop("loop-batch", "batch"),
    Queue("celery-prefork", "bench.peers.celery_app", running_redis, workers=[_CELERY_PREFORK]),
    Queue("celery-threads", "bench.peers.celery_app", running_redis, workers=[_CELERY_THREADS]),
    Queue("dramatiq-16", "bench.peers.dramatiq_app", running_redis, workers=[[*_DRAMATIQ, "16"]]),
    Queue("dramatiq-32", "bench.peers.dramatiq_app", running_redis, workers=[[*_DRAMATIQ, "32"]]),
    Queue(
        "procrastinate",
        "bench.peers.procrastinate_app",
        running_postgres,
        workers=[_PROCRASTINATE_WORKER] * _CORES,
        setup=[*_PROCRASTINATE, "schema", "--apply"],
    ),
)
