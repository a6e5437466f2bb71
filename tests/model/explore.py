"""Explores every world that can come about, breadth first, and tells the shortest way to a broken invariant."""

import gc
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.model.fault_steps import FAULT_STEPS, continued
from tests.model.invariants import NO_LOSS, broken_at_the_end, broken_by, broken_in
from tests.model.message_steps import MESSAGE_STEPS
from tests.model.rules import Rules
from tests.model.scene import Scene, Step, Steps, beginning
from tests.model.state import Scenario
from tests.model.worker_steps import WORKER_STEPS


class Breach(NamedTuple):
    """An invariant that is broken, and the shortest way there."""

    invariant: str
    trace: Sequence[str]

    def __str__(self) -> str:
        return "\n".join([f"broken: {self.invariant}", *(f"{n:3}. {step}" for n, step in enumerate(self.trace, 1))])


class Exploration(NamedTuple):
    """What was found; without a breach all of it was seen."""

    states: int
    steps: int
    seconds: float
    breach: Breach | None


def steps_from(scene: Scene) -> Steps:
    """All that may happen next."""
    for make in (*WORKER_STEPS, *MESSAGE_STEPS):
        yield from make(scene)
    yield from continued(scene)
    if scene.world.left:
        for make in FAULT_STEPS:
            yield from make(scene)


class _Search:
    """Worlds by number in the order in which they were met; whence each came, and where each leads by itself."""

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self.scenario = scenario
        self.rules = rules
        first = beginning(scenario)
        self.worlds = [first]
        self.numbers = {first: 0}
        self.came_by: list[tuple[int, Step | None]] = [(0, None)]
        self.leads_to: list[list[int]] = []
        self.steps = 0

    def run(self) -> Breach | None:
        number = 0
        while number < len(self.worlds):
            if (breach := self._expand(number)) is not None:
                return breach
            number += 1
        return self._lost()

    def _expand(self, number: int) -> Breach | None:
        scene = Scene(self.worlds[number], self.rules, self.scenario)
        leads_to = []
        for step in steps_from(scene):
            self.steps += 1
            if (broken := broken_by(scene, step)) is not None:
                return Breach(broken, [*self._trace(number), str(step)])
            if step.after not in self.numbers:
                self._add(number, step)
                if (broken := broken_in(scene._replace(world=step.after))) is not None:
                    return Breach(broken, self._trace(len(self.worlds) - 1))
            if step.leads_on:
                leads_to.append(self.numbers[step.after])
        self.leads_to.append(leads_to)
        if not leads_to and (broken := broken_at_the_end(scene)) is not None:
            return Breach(broken, self._trace(number))
        return None

    def _add(self, number: int, step: Step) -> None:
        self.numbers[step.after] = len(self.worlds)
        self.worlds.append(step.after)
        self.came_by.append((number, step))

    def _trace(self, number: int) -> list[str]:
        trace = []
        while number:
            number, step = self.came_by[number]
            trace.append(str(step))
        return trace[::-1]

    def _lost(self) -> Breach | None:
        """A world from which no end is reached by what comes by itself."""
        ends = bytearray(len(self.worlds))
        changed = True
        while changed:
            changed = False
            for number in reversed(range(len(self.worlds))):
                if not ends[number] and (not self.leads_to[number] or any(ends[n] for n in self.leads_to[number])):
                    ends[number] = changed = True
        return None if all(ends) else Breach(NO_LOSS, self._trace(ends.index(0)))


def explore(scenario: Scenario, rules: Rules) -> Exploration:
    """Sees every world of a scenario, or stops at the first breach."""
    began = time.monotonic()
    search = _Search(scenario, rules)
    gc.disable()  # millions of small tuples, no cycles
    try:
        breach = search.run()
    finally:
        gc.enable()
    return Exploration(len(search.worlds), search.steps, time.monotonic() - began, breach)
