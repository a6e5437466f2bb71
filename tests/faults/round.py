"""One round: servers, faults and callers, then everything is mended, comes to its end, and is looked at."""

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
from tests.faults.database import Database
from tests.faults.faults import Faults
from tests.faults.fleet import Fleet, Member, running_fleet
from tests.faults.ledger import Ledger
from tests.faults.prober import BOUND_SECONDS, Answer, Prober
from tests.faults.script import LEASE_SECONDS, PAGE_FAULTS, PAGES, Step, draw
from tests.faults.verdict import Books, left_late, violations
from tests.faults.waste import error_from_rpc, wasted
from tests.postgres import Postgres
from tests.waiting import eventually

SERVERS = 3
# What ended before its page had another token gets no AUTO round for it: it waits for a resend by hand.
MENDED_BY_TOKEN = {error_from_rpc(preset).code for preset in PAGE_FAULTS}
ROUND_SECONDS = 75.0
LATENCY = "--delay-ms=50"  # of the platform: attempts are in flight when the first of them is refused
KEY = base64.b64encode(bytes(range(32))).decode()


@dataclass
class Report:
    """What a round did, and what was wrong."""

    seed: int
    script: Sequence[Step]
    violations: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0  # seconds until a server that could answer did
    wasted: int = 0  # the most attempts that one fault of everybody wasted in one term

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}, {self.seconds:.1f} s, slowest answer {self.slowest:.1f} s, {dict(self.figures)}",
            f"  at most {self.wasted} attempts wasted by one fault in one term",
            *(f"  {step}" for step in self.script),
        ]
        return "\n".join([*lines, *(f"  WRONG: {words}" for words in self.violations)])


async def play(seed: int, postgres: Postgres, folder: Path) -> Report:
    """Plays the round of a seed; servers' logs are left in the folder."""
    chance = Random(seed)  # noqa: S311 - repeatable on purpose
    report = Report(seed, draw(chance, SERVERS))
    began = time.monotonic()
    database = Database(postgres)
    async with running_sandbox_process(LATENCY) as sandbox:
        settings = {f"server{n}": _settings(database, sandbox, f"server{n}") for n in range(SERVERS)}
        async with running_fleet(folder, settings, chance) as fleet:
            sent = await _Round(report, database, sandbox, fleet, chance, ends=began + ROUND_SECONDS).play()
        report.seconds = time.monotonic() - began
        _judge(report, database, await _arrivals(sandbox), sent)
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
        """The message's id for each request_id that was answered."""
        await self._callers.put_pages(SLOW)
        self._probing = [asyncio.create_task(prober.run()) for prober in self._probers]
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._ends - time.monotonic()):
                await self._go_wrong()
                await self._come_to_an_end()
        except TimeoutError:
            self._report.violations += [
                f"not at its end after {ROUND_SECONDS} s: {words}" for words in await self._open()
            ]
            self._report.violations.append(f"not at its end after {ROUND_SECONDS} s")
        finally:
            await self._stop_probing()
        self._take_stock()
        return self._answered()

    async def _go_wrong(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._callers.campaigns())
            for step in self._report.script:
                tasks.create_task(self._faults.take(step))

    async def _stop_probing(self) -> None:
        for prober in self._probers:
            prober.stop()
        await asyncio.gather(*self._probing, return_exceptions=True)  # a time-out of the round has cancelled them

    async def _come_to_an_end(self) -> None:
        await self._sandbox.control.clear_faults()
        await self._callers.put_pages(FAST)
        await self._stop_probing()
        watching = [asyncio.create_task(self._callers.watch(message.id)) for message in self._callers.sent.values()]
        await eventually(self._open, lambda still_open: not still_open, within=ROUND_SECONDS)
        await asyncio.gather(*watching)

    async def _open(self) -> list[str]:
        """Messages that have not come to their end, in words."""
        await self._callers.mend_all()
        return await self._callers.insist(self._open_by)

    async def _open_by(self, client: Client) -> list[str]:
        return [
            f"{message.title}: {message.counts}".replace("\n", " ")
            async for message in client.list_messages()
            if not message.HasField("end_time") or await self._is_due(client, message)
        ]

    async def _is_due(self, client: Client, message: Message) -> bool:
        """An automatic round is still to come."""
        policy, counts = message.retry_policy, message.counts
        if policy.type == RetryType.RETRY_TYPE_MANUAL or message.retry_count >= policy.max_retry_attempts:
            return False
        if counts.cancelled or not counts.failed + counts.unconfirmed:
            return False
        failed = client.list_failed(message.id)
        if policy.type == RetryType.RETRY_TYPE_AUTO:
            return any([one.retryable and one.last_error_code not in MENDED_BY_TOKEN async for one in failed])
        return bool((await failed.page()).retryable_count)

    def _answered(self) -> Mapping[str, str]:
        sent = [self._callers.sent, *(prober.accepted for prober in self._probers)]
        return {request_id: message.id for of_one in sent for request_id, message in of_one.items()}

    def _take_stock(self) -> None:
        report, callers = self._report, self._callers
        report.violations += callers.complaints
        report.figures += self._faults.figures
        report.figures += callers.mended
        report.figures["calls repeated"] = callers.repeats
        for member, prober in zip(self._fleet.members, self._probers, strict=True):
            report.violations += member.defects()
            fair = [answer for answer in prober.answers if not _is_excused(member, answer)]
            report.slowest = max([report.slowest, *(answer.end - answer.begin for answer in fair)])
            report.figures["probes"] += len(fair)
            report.figures["probes told to come again"] += sum(a.code is grpc.StatusCode.UNAVAILABLE for a in fair)
            report.violations += _of_answers(member, fair)


def _is_excused(member: Member, answer: Answer) -> bool:
    """The server was killed or stopped meanwhile."""
    return any(answer.begin < span.end and span.begin < answer.end for span in member.hindered)


def _of_answers(member: Member, answers: Sequence[Answer]) -> list[str]:
    return [
        *(
            f"{member.name} answered {a.call} with {a.code.name} after {a.end - a.begin:.1f} s"
            for a in answers
            if a.end - a.begin > BOUND_SECONDS
        ),
        *(f"{member.name} did not say when to come again ({a.call})" for a in answers if not a.tells_when),
    ]


async def _arrivals(sandbox: SandboxProcess) -> Sequence[Arrival]:
    found: list[Arrival] = []
    while True:
        page = await sandbox.control.received(after=found[-1].number if found else 0, limit=10_000)
        found.extend(page.arrivals)
        if page.next_after is None:
            return found


def _judge(report: Report, database: Database, arrivals: Sequence[Arrival], sent: Mapping[str, str]) -> None:
    store = PostgresStore(database.url("judge"))
    try:
        books = Books(store)
    finally:
        store.close()
    report.figures["events"] = len(books.log)
    report.figures["arrivals"] = len(arrivals)
    ledger = Ledger(books.log)
    report.figures["left after a take-over"] = left_late(ledger, arrivals)
    report.figures["unconfirmed"] = sum(one.status is DeliveryStatus.UNCONFIRMED for one in ledger.attempts.values())
    report.figures["deliveries"] = len(ledger.attempts)
    report.figures["rounds that went on"] = ledger.gone_on
    report.figures["held and stopped"] = ledger.held_back
    report.violations += violations(books, ledger, arrivals, sent)
    for waste in wasted(report.script, books.log, arrivals):
        report.wasted = max(report.wasted, waste.most)
        report.figures["wasted attempts"] += sum(waste.by_term.values())
        report.figures["terms of faults"] += len(waste.by_term)
        report.violations += waste.violations()
