"""RetryTimer: starts automatic rounds of CRON messages, by a timetable and on request."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from domain.errors import Unavailable
from domain.retry import RetryTrigger
from projections import message_rows
from projections.message_rows import MessageRow
from projections.sql import Row, Sql, from_micros, micros
from server.background.timer_report import RetrySchedule, TimerResult, TimerRun, TimerStatus
from server.background.timetable import Timetable
from server.cluster.page_leases import retry_after_of
from server.commands.resend_planning import count_automatically_retryable
from server.commands.rounds import AutomaticRoundService
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

MESSAGES_AT_ONCE = 100
PAUSE_AFTER_FAILURE = 1.0  # seconds
LONGEST_SLEEP = 30.0  # seconds; the system clock may be changed during a sleep
MAX_LAST_RESULTS = 1_000  # of the last run, which GetRetrySchedule returns
MAX_RUNS = 20
MAX_RESULTS_OF_A_RUN = 100


class RetryTimer:
    """Runs by a timetable. Two runs at the same moment are safe: only one of them plans each round."""

    def __init__(
        self,
        log: EventLog,
        rounds: AutomaticRoundService,
        timetable: Timetable,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._rounds = rounds
        self._timetable = timetable
        self._now = now
        self._started = now()

    async def run(self) -> None:
        """Run whenever a run is due, until cancelled; after a failure, try again PAUSE_AFTER_FAILURE later."""
        while True:
            try:
                await self._run_when_due()
            except Unavailable:
                logger.warning("log_away", part="retry_timer")
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            except Exception:
                logger.exception("retry_timer_broke")
                await asyncio.sleep(PAUSE_AFTER_FAILURE)

    async def _run_when_due(self) -> None:
        schedule = await self.schedule()
        seconds = _seconds_until(schedule.next_run_time, self._now())
        if seconds > 0:
            await asyncio.sleep(min(LONGEST_SLEEP, seconds))
        elif await self._claim_run(schedule.last_run_time):
            await self.run_now(own_schedules=False)

    async def _claim_run(self, last_run: datetime | None) -> bool:
        """Return whether this process makes the run that follows `last_run`: one process makes each run."""
        started = self._now()
        return await self._log.write(lambda sql: _claim_run(sql, last_run, started))

    async def run_now(self, *, own_schedules: bool = True) -> Sequence[TimerResult]:
        """Start a round of every eligible message now, due or not; raises Unavailable.

        The timetable leaves out messages with a schedule of their own (see DueRounds).
        """
        started = self._now()
        tick = started.isoformat()
        results = [await self._retry(message, tick) async for message in self._eligible(own_schedules=own_schedules)]
        await self._log.write(lambda sql: record_run(sql, started, results))
        started_rounds = sum(result.status is TimerStatus.STARTED for result in results)
        logger.info("retry_timer_ran", messages=len(results), started=started_rounds, tick=tick)
        return results

    async def _eligible(self, *, own_schedules: bool) -> AsyncIterator[MessageRow]:
        after = ""
        while rows := await self._log.read(_candidates(after, own_schedules=own_schedules)):
            for row in rows:
                if await self._log.read(_retryable_recipients(row)):
                    yield row
            after = rows[-1].message_id

    async def _retry(self, message: MessageRow, tick: str) -> TimerResult:
        """Start a message's round; an exception other than Unavailable does not stop the rounds of other messages."""
        try:
            return await self._start_round(message, tick)
        except Unavailable:
            raise
        except Exception:
            logger.exception("scheduled_retry_broke", message=message.message_id)
            return _result(message, TimerStatus.NOTHING_TO_DO)

    async def _start_round(self, message: MessageRow, tick: str) -> TimerResult:
        if await self._log.read(lambda sql: retry_after_of(sql, message.page_id)):
            return _result(message, TimerStatus.RETRY_AFTER)
        started = await self._rounds.start(
            message.message_id,
            RetryTrigger.CRON,
            retry_count=message.retry_count,
            from_batch=message.automatic_from_batch,
            tick=tick,
        )
        if started is None:
            return _result(message, TimerStatus.NOTHING_TO_DO)
        return TimerResult(
            message_id=message.message_id,
            title=message.title,
            status=TimerStatus.STARTED,
            recipients=started.recipients,
            batches=started.batches,
            retry_attempt=message.retry_count + 1,
        )

    async def schedule(self) -> RetrySchedule:
        """Return when the timer runs next, and the results of the last run; raises Unavailable."""
        row = await self._log.read(lambda sql: sql.row("SELECT * FROM retry_timer WHERE timer = 'retry'"))
        last_run = from_micros(row["last_run_time"]) if row else None
        next_run = self._timetable.after(last_run or self._started)
        following = next_run and self._timetable.after(next_run)
        return RetrySchedule(
            interval=following - next_run if following and next_run else None,
            next_run_time=next_run,
            last_run_time=last_run,
            last_results=msgspec.convert(json.loads(row["results"]), list[TimerResult]) if row else [],
        )

    async def last_runs(self) -> Sequence[TimerRun]:
        """Return the last runs, newest first; raises Unavailable."""
        return await self._log.read(last_runs)


def _seconds_until(time: datetime | None, now: datetime) -> float:
    return LONGEST_SLEEP if time is None else (time - now).total_seconds()


def _candidates(after: str, *, own_schedules: bool) -> Callable[[Sql], Sequence[MessageRow]]:
    return lambda sql: message_rows.due_for_timer(sql, after=after, limit=MESSAGES_AT_ONCE, own_schedules=own_schedules)


def _retryable_recipients(message: MessageRow) -> Callable[[Sql], int]:
    return lambda sql: count_automatically_retryable(sql, message)


def _result(message: MessageRow, status: TimerStatus) -> TimerResult:
    return TimerResult(message_id=message.message_id, title=message.title, status=status)


def _claim_run(sql: Sql, last_run: datetime | None, started: datetime) -> bool:
    """Move the time of the last run on; False if another process did so first."""
    if last_run is None:
        statement = """
            INSERT INTO retry_timer (timer, last_run_time, results) VALUES ('retry', :started, '[]')
            ON CONFLICT (timer) DO NOTHING RETURNING timer
        """
        return bool(sql.rows(statement, {"started": micros(started)}))
    statement = """
        UPDATE retry_timer SET last_run_time = :started WHERE timer = 'retry' AND last_run_time = :last
        RETURNING timer
    """
    return bool(sql.rows(statement, {"started": micros(started), "last": micros(last_run)}))


def record_run(sql: Sql, time: datetime, results: Sequence[TimerResult]) -> None:
    """Record a run as the last one, and in the list of runs."""
    add_run(sql, time, results)
    sql.execute(
        """
        INSERT INTO retry_timer (timer, last_run_time, results) VALUES ('retry', :time, :results)
        ON CONFLICT (timer) DO UPDATE SET last_run_time = excluded.last_run_time, results = excluded.results
        """,
        {"time": micros(time), "results": msgspec.json.encode(results[:MAX_LAST_RESULTS]).decode()},
    )


def add_run(sql: Sql, time: datetime, results: Sequence[TimerResult]) -> None:
    """Add a run to the list of runs, and delete all but the last MAX_RUNS."""
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
            "results": msgspec.json.encode(results[:MAX_RESULTS_OF_A_RUN]).decode(),
        },
    )
    sql.execute(
        """
        DELETE FROM retry_runs WHERE time <= (SELECT time FROM retry_runs ORDER BY time DESC LIMIT 1 OFFSET :kept)
        """,
        {"kept": MAX_RUNS},
    )


def last_runs(sql: Sql) -> Sequence[TimerRun]:
    """Return the last runs, newest first."""
    return [_run(row) for row in sql.rows("SELECT * FROM retry_runs ORDER BY time DESC")]


def _run(row: Row) -> TimerRun:
    return TimerRun(
        time=from_micros(row["time"]),
        eligible=row["eligible"],
        started=row["started"],
        recipients=row["recipients"],
        results=msgspec.convert(json.loads(row["results"]), list[TimerResult]),
    )
