"""Executes the steps of a script."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from redrive.v1.message_pb2 import Message
from tests.e2e.processes import SandboxProcess
from tests.faults.callers import Callers
from tests.faults.database import Database
from tests.faults.fleet import Fleet, Member
from tests.faults.script import CONTENT_FAULT, PAGE_FAULT, Step
from tests.faults.waste import LIMIT

LONGER_SECONDS = 12.0
ENOUGH_HITS = 3 * LIMIT  # summed over several processes
LOOK_SECONDS = 0.1
TRIES = 50  # attempts to catch a server while it holds the log's lock, which takes milliseconds


class Faults:
    """Faults of the servers, the database and the platform."""

    def __init__(self, database: Database, sandbox: SandboxProcess, fleet: Fleet, callers: Callers) -> None:
        self._database = database
        self._fleet = fleet
        self.figures: Counter[str] = Counter()
        self._actions: Mapping[str, Callable[[Step], Awaitable[object]]] = {
            "kill": lambda step: self._member(step).kill(step.seconds),
            "drain": lambda step: self._member(step).drain(step.seconds),
            "freeze": lambda step: self._member(step).freeze(step.seconds),
            "nap": lambda step: self._member(step).freeze(step.seconds),
            "freeze_writer": lambda step: self._freeze_writer(step.seconds),
            "restart": lambda step: database.restart("fast", step.seconds),
            "crash": lambda step: database.restart("immediate", step.seconds),
            "end_sessions": lambda _: database.end_sessions(),
            "freeze_database": lambda step: database.freeze(step.seconds),
            "read_only": lambda step: database.forbid_writing(step.seconds),
            "platform": lambda step: sandbox.control.order(step.order),
            "timers": lambda _: callers.timers(),
            PAGE_FAULT: self._wide_fault,
            CONTENT_FAULT: self._wide_fault,
        }
        self._sandbox = sandbox
        self._callers = callers

    def _member(self, step: Step) -> Member:
        return self._fleet.members[step.server]

    async def execute(self, step: Step) -> None:
        """Wait until the step's time, then execute it."""
        await asyncio.sleep(step.at)
        await self._actions[step.kind](step)
        self.figures[step.kind] += 1

    async def _wide_fault(self, step: Step) -> None:
        """Apply a page-wide or content fault; afterwards release or resume what the service held."""
        message = await self._callers.burst(step.order["page"], step.burst)
        await asyncio.sleep(step.lead)
        [placed] = await self._sandbox.control.order(step.order)
        await asyncio.sleep(step.seconds)
        await self._wait_for_effect(placed.id, message)
        await self._sandbox.control.remove_fault(placed.id)
        await self._undo(step, message)

    async def _wait_for_effect(self, fault_id: str, message: Message) -> None:
        """Wait until the fault has caused a hold or a stop, or has refused far more attempts than allowed."""
        ends = time.monotonic() + LONGER_SECONDS
        while time.monotonic() < ends:
            [fault] = [fault for fault in await self._sandbox.control.faults() if fault.id == fault_id]
            is_held_back = await self._callers.is_held_back(message)
            self.figures["wide faults that caused a hold or a stop"] += is_held_back
            if is_held_back or fault.hits > ENOUGH_HITS:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _undo(self, step: Step, message: Message) -> None:
        if step.kind == CONTENT_FAULT:
            await self._callers.resume(message.id)
        elif step.remedy == "release":
            await self._callers.release(step.order["page"])
        else:
            await self._callers.give_another_token(step.order["page"])

    async def _freeze_writer(self, seconds: float) -> None:
        for _ in range(TRIES):
            member = self._fleet.member(await self._database.writer())
            if member is not None and member.stop():
                if await self._database.writer() == member.name:
                    self.figures["servers frozen while they held the log's lock"] += 1
                    await member.freeze(seconds)
                    return
                member.resume()
