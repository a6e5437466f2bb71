"""The retry timer's last runs: what stands of them beside the log."""

import json
from collections.abc import Sequence
from datetime import datetime

import msgspec

from projections.sql import Row, Sql, from_micros, micros
from server.delivery.timer_report import TimerResult, TimerRun, TimerStatus

KEPT_RUNS = 20
RESULTS_OF_A_RUN = 100


def remember(sql: Sql, time: datetime, results: Sequence[TimerResult]) -> None:
    """Keeps one more run, and forgets those that are not among the last."""
    started = [result for result in results if result.status is TimerStatus.STARTED]
    sql.execute(
        """
        INSERT INTO retry_runs (time, eligible, started, recipients, results)
        VALUES (:time, :eligible, :started, :recipients, :results)
        ON CONFLICT (time) DO NOTHING
        """,
        {
            "time": micros(time),
            "eligible": len(results),
            "started": len(started),
            "recipients": sum(result.recipients for result in started),
            "results": msgspec.json.encode(results[:RESULTS_OF_A_RUN]).decode(),
        },
    )
    sql.execute(
        """
        DELETE FROM retry_runs WHERE time <= (SELECT time FROM retry_runs ORDER BY time DESC LIMIT 1 OFFSET :kept)
        """,
        {"kept": KEPT_RUNS},
    )


def last_runs(sql: Sql) -> Sequence[TimerRun]:
    """The last runs, newest first."""
    return [_run(row) for row in sql.rows("SELECT * FROM retry_runs ORDER BY time DESC")]


def _run(row: Row) -> TimerRun:
    return TimerRun(
        time=from_micros(row["time"]),
        eligible=row["eligible"],
        started=row["started"],
        recipients=row["recipients"],
        results=msgspec.convert(json.loads(row["results"]), list[TimerResult]),
    )
