"""Makes the steps of a script happen."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from tests.e2e.processes import SandboxProcess
from tests.faults.callers import Callers
from tests.faults.database import Database
from tests.faults.fleet import Fleet, Member
from tests.faults.script import Step

TRIES = 50  # to catch a server while it holds the log's lock, which it does for milliseconds


class Faults:
    """All that can befall the servers, the database and the platform."""

    def __init__(self, database: Database, sandbox: SandboxProcess, fleet: Fleet, callers: Callers) -> None:
        self._database = database
        self._fleet = fleet
        self.figures: Counter[str] = Counter()
        self._doers: Mapping[str, Callable[[Step], Awaitable[object]]] = {
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
        }

    def _member(self, step: Step) -> Member:
        return self._fleet.members[step.server]

    async def take(self, step: Step) -> None:
        """Waits for the step's moment, then does it."""
        await asyncio.sleep(step.at)
        await self._doers[step.kind](step)
        self.figures[step.kind] += 1

    async def _freeze_writer(self, seconds: float) -> None:
        for _ in range(TRIES):
            member = self._fleet.member(await self._database.writer())
            if member is not None and member.stop():
                if await self._database.writer() == member.name:
                    self.figures["stopped inside the lock"] += 1
                    await member.freeze(seconds)
                    return
                member.go_on()
