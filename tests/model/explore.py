"""Breadth-first exploration of every reachable world, with the shortest trace to a broken invariant."""

import gc
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.model.fault_steps import FAULT_STEPS, continued
from tests.model.invariants import NO_LOSS, broken_at_the_end, broken_by, broken_in
from tests.model.message_steps import MESSAGE_STEPS
from tests.model.rules import Rules
from tests.model.scene import Scene, Step, Steps, initial_world
from tests.model.state import Scenario
from tests.model.worker_steps import WORKER_STEPS


class Breach(NamedTuple):
    """A broken invariant, with the shortest trace to it."""

    invariant: str
    trace: Sequence[str]

    def __str__(self) -> str:
        return "\n".join([f"broken: {self.invariant}", *(f"{n:3}. {step}" for n, step in enumerate(self.trace, 1))])


class Exploration(NamedTuple):
    """Result of an exploration; without a breach all worlds were visited."""

    states: int
    steps: int
    seconds: float
    breach: Breach | None


def steps_from(scene: Scene) -> Steps:
    """Yield all steps that are possible next."""
    for make in (*WORKER_STEPS, *MESSAGE_STEPS):
        yield from make(scene)
    yield from continued(scene)
    if scene.world.left:
        for make in FAULT_STEPS:
            yield from make(scene)


class _Search:
    """Worlds by number in order of discovery, with predecessors and eventual successors."""

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self.scenario = scenario
        self.rules = rules
        first = initial_world(scenario)
        self.worlds = [first]
        self.numbers = {first: 0}
        self.predecessors: list[tuple[int, Step | None]] = [(0, None)]
        self.successors: list[list[int]] = []
        self.steps = 0

    def run(self) -> Breach | None:
        number = 0
        while number < len(self.worlds):
            if (breach := self._expand(number)) is not None:
                return breach
            number += 1
        return self._stuck_world()

    def _expand(self, number: int) -> Breach | None:
        scene = Scene(self.worlds[number], self.rules, self.scenario)
        successors = []
        for step in steps_from(scene):
            self.steps += 1
            if (broken := broken_by(scene, step)) is not None:
                return Breach(broken, [*self._trace(number), str(step)])
            if step.after not in self.numbers:
                self._add(number, step)
                if (broken := broken_in(scene._replace(world=step.after))) is not None:
                    return Breach(broken, self._trace(len(self.worlds) - 1))
            if step.is_eventual:
                successors.append(self.numbers[step.after])
        self.successors.append(successors)
        if not successors and (broken := broken_at_the_end(scene)) is not None:
            return Breach(broken, self._trace(number))
        return None

    def _add(self, number: int, step: Step) -> None:
        self.numbers[step.after] = len(self.worlds)
        self.worlds.append(step.after)
        self.predecessors.append((number, step))

    def _trace(self, number: int) -> list[str]:
        trace = []
        while number:
            number, step = self.predecessors[number]
            trace.append(str(step))
        return trace[::-1]

    def _stuck_world(self) -> Breach | None:
        """Return a breach for a world from which eventual steps reach no end."""
        ends = bytearray(len(self.worlds))
        changed = True
        while changed:
            changed = False
            for number in reversed(range(len(self.worlds))):
                if not ends[number] and (not self.successors[number] or any(ends[n] for n in self.successors[number])):
                    ends[number] = changed = True
        return None if all(ends) else Breach(NO_LOSS, self._trace(ends.index(0)))


def explore(scenario: Scenario, rules: Rules) -> Exploration:
    """Visit every world of a scenario, or stop at the first breach."""
    began = time.monotonic()
    search = _Search(scenario, rules)
    gc.disable()  # millions of small tuples without cycles
    try:
        breach = search.run()
    finally:
        gc.enable()
    return Exploration(len(search.worlds), search.steps, time.monotonic() - began, breach)
