"""One round: run servers, faults and callers, undo the faults, wait until all is done, and check the result."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc

from domain.delivery import DeliveryStatus
from redrive import Client
from redrive.v1.message_pb2 import Message, RetryType
from server.eventstore.postgres.store import PostgresStore
from server.sandbox.record import Arrival
from tests.e2e.processes import SandboxProcess, running_sandbox_process
from tests.faults.callers import FAST, SLOW, Callers
from tests.faults.checks import Snapshot, left_late, violations
from tests.faults.database import Database
from tests.faults.faults import Faults
from tests.faults.fleet import Fleet, Member, running_fleet
from tests.faults.ledger import Ledger
from tests.faults.prober import BOUND_SECONDS, Answer, Prober
from tests.faults.script import LEASE_SECONDS, PAGE_FAULTS, PAGES, Step, draw
from tests.faults.waste import error_of, wasted
from tests.postgres import Postgres
from tests.waiting import eventually

SERVERS = 3
# A delivery that failed before its page had a new token gets no AUTO round; it waits for a manual resend.
RETRYABLE_AFTER_NEW_TOKEN = {error_of(preset).code for preset in PAGE_FAULTS}
ROUND_SECONDS = 75.0
LATENCY = "--delay-ms=50"  # of the platform, so that attempts are in flight when the first is refused
KEY = base64.b64encode(bytes(range(32))).decode()


@dataclass
class Report:
    """Steps, figures and violations of a round."""

    seed: int
    script: Sequence[Step]
    violations: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0  # longest time until an available server answered
    wasted: int = 0  # most attempts that one wide fault wasted in one term

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}, {self.seconds:.1f} s, slowest answer {self.slowest:.1f} s, {dict(self.figures)}",
            f"  at most {self.wasted} attempts wasted by one fault in one term",
            *(f"  {step}" for step in self.script),
        ]
        return "\n".join([*lines, *(f"  VIOLATION: {words}" for words in self.violations)])


async def play(seed: int, postgres: Postgres, folder: Path) -> Report:
    """Run the round of a seed; the server logs stay in the folder."""
    chance = Random(seed)  # noqa: S311 repeatable on purpose
    report = Report(seed, draw(chance, SERVERS))
    began = time.monotonic()
    database = Database(postgres)
    async with running_sandbox_process(LATENCY) as sandbox:
        settings = {f"server{n}": _settings(database, sandbox, f"server{n}") for n in range(SERVERS)}
        async with running_fleet(folder, settings, chance) as fleet:
            sent = await _Round(report, database, sandbox, fleet, chance, ends=began + ROUND_SECONDS).play()
        report.seconds = time.monotonic() - began
        _check(report, database, await _arrivals(sandbox), sent)
    if not report.violations:
        database.drop()
    return report


def _settings(database: Database, sandbox: SandboxProcess, name: str) -> dict[str, str]:
    return {
        "REDRIVE_DATABASE_URL": database.url(name),
        "REDRIVE_GRAPH_URL": sandbox.graph_url,
        "REDRIVE_SECRET_KEY": KEY,
        "REDRIVE_LEASE_SECONDS": str(LEASE_SECONDS),
        "REDRIVE_RETRY_INTERVAL": "1",
        "REDRIVE_DRAIN_SECONDS": "5",
        "REDRIVE_ANSWER_SECONDS": "1.5",
    }


class _Round:
    def __init__(
        self, report: Report, database: Database, sandbox: SandboxProcess, fleet: Fleet, chance: Random, *, ends: float
    ) -> None:
        self._report = report
        self._sandbox = sandbox
        self._fleet = fleet
        self._callers = Callers(fleet, chance)
        self._faults = Faults(database, sandbox, fleet, self._callers)
        self._probers = [Prober(member, PAGES[0]) for member in fleet.members]
        self._probing: list[asyncio.Task[None]] = []
        self._ends = ends

    async def play(self) -> Mapping[str, str]:
        """Run the round; return the message id for each answered request_id."""
        await self._callers.put_pages(SLOW)
        self._probing = [asyncio.create_task(prober.run()) for prober in self._probers]
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._ends - time.monotonic()):
                await self._run_faults()
                await self._wait_until_done()
        except TimeoutError:
            self._report.violations += [
                f"not done after {ROUND_SECONDS} s: {message}" for message in await self._open()
            ]
            self._report.violations.append(f"not done after {ROUND_SECONDS} s")
        finally:
            await self._stop_probing()
        self._collect_figures()
        return self._answered()

    async def _run_faults(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._callers.campaigns())
            for step in self._report.script:
                tasks.create_task(self._faults.execute(step))

    async def _stop_probing(self) -> None:
        for prober in self._probers:
            prober.stop()
        await asyncio.gather(*self._probing, return_exceptions=True)  # a timeout of the round has cancelled them

    async def _wait_until_done(self) -> None:
        await self._sandbox.control.clear_faults()
        await self._callers.put_pages(FAST)
        await self._stop_probing()
        watching = [asyncio.create_task(self._callers.watch(message.id)) for message in self._callers.sent.values()]
        await eventually(self._open, lambda still_open: not still_open, within=ROUND_SECONDS)
        await asyncio.gather(*watching)

    async def _open(self) -> list[str]:
        """Return descriptions of the messages that are not done."""
        await self._callers.release_all()
        return await self._callers.until_answered(self._open_by)

    async def _open_by(self, client: Client) -> list[str]:
        return [
            f"{message.title}: {message.counts}".replace("\n", " ")
            async for message in client.list_messages()
            if not message.HasField("end_time") or await self._is_due(client, message)
        ]

    async def _is_due(self, client: Client, message: Message) -> bool:
        """Return whether an automatic round will follow."""
        policy, counts = message.retry_policy, message.counts
        if policy.type == RetryType.RETRY_TYPE_MANUAL or message.retry_count >= policy.max_retry_attempts:
            return False
        if counts.cancelled or not counts.failed + counts.unconfirmed:
            return False
        failed = client.list_failed(message.id)
        if policy.type == RetryType.RETRY_TYPE_AUTO:
            return any([one.retryable and one.last_error_code not in RETRYABLE_AFTER_NEW_TOKEN async for one in failed])
        return bool((await failed.page()).retryable_count)

    def _answered(self) -> Mapping[str, str]:
        sent = [self._callers.sent, *(prober.accepted for prober in self._probers)]
        return {request_id: message.id for of_one in sent for request_id, message in of_one.items()}

    def _collect_figures(self) -> None:
        report, callers = self._report, self._callers
        report.violations += callers.violations
        report.figures += self._faults.figures
        report.figures += callers.released
        report.figures["calls repeated"] = callers.repeats
        for member, prober in zip(self._fleet.members, self._probers, strict=True):
            report.violations += member.defects()
            fair = [answer for answer in prober.answers if not _is_excused(member, answer)]
            report.slowest = max([report.slowest, *(answer.end - answer.begin for answer in fair)])
            report.figures["probes"] += len(fair)
            report.figures["probes answered with UNAVAILABLE"] += sum(
                a.code is grpc.StatusCode.UNAVAILABLE for a in fair
            )
            report.violations += _of_answers(member, fair)


def _is_excused(member: Member, answer: Answer) -> bool:
    """Return whether the server was killed or stopped during the call."""
    return any(answer.begin < span.end and span.begin < answer.end for span in member.unavailable)


def _of_answers(member: Member, answers: Sequence[Answer]) -> list[str]:
    return [
        *(
            f"{member.name} answered {a.call} with {a.code.name} after {a.end - a.begin:.1f} s"
            for a in answers
            if a.end - a.begin > BOUND_SECONDS
        ),
        *(f"{member.name} gave no retry delay ({a.call})" for a in answers if not a.has_retry_delay),
    ]


async def _arrivals(sandbox: SandboxProcess) -> Sequence[Arrival]:
    found: list[Arrival] = []
    while True:
        page = await sandbox.control.received(after=found[-1].number if found else 0, limit=10_000)
        found.extend(page.arrivals)
        if page.next_after is None:
            return found


def _check(report: Report, database: Database, arrivals: Sequence[Arrival], sent: Mapping[str, str]) -> None:
    store = PostgresStore(database.url("judge"))
    try:
        snapshot = Snapshot(store)
    finally:
        store.close()
    report.figures["events"] = len(snapshot.log)
    report.figures["arrivals"] = len(arrivals)
    ledger = Ledger(snapshot.log)
    report.figures["requests sent after a takeover"] = left_late(ledger, arrivals)
    report.figures["unconfirmed"] = sum(one.status is DeliveryStatus.UNCONFIRMED for one in ledger.attempts.values())
    report.figures["deliveries"] = len(ledger.attempts)
    report.figures["rounds with several slices"] = ledger.continued_rounds
    report.figures["holds and stops"] = ledger.held_back
    report.violations += violations(snapshot, ledger, arrivals, sent)
    for waste in wasted(report.script, snapshot.log, arrivals):
        report.wasted = max(report.wasted, waste.most)
        report.figures["wasted attempts"] += sum(waste.by_term.values())
        report.figures["terms of faults"] += len(waste.by_term)
        report.violations += waste.violations()
