"""Runs the contenders in turns, in rounds, so that a slow phase of the machine affects all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.contenders.contender import Contender
from bench.endpoint import Endpoint
from bench.figures import Figures
from bench.meter import cpu_seconds, metering
from bench.results import Run

WARM_UP = 200  # unmeasured messages first: they open connections and load code
TURN_SECONDS = 900.0  # time limit of one turn
_OTHER_PEOPLE = 1_000_000_000  # number of the first warm-up recipient; no measured recipient has it


class Turn(NamedTuple):
    """One run of a contender in each round."""

    contender: Contender
    messages: int
    delay_ms: float


async def run_rounds(rounds: int, turns: Sequence[Turn], endpoint: Endpoint, folder: Path) -> AsyncIterator[Run]:
    """Run all turns of a round, then the next round."""
    for number in range(1, rounds + 1):
        for place, turn in enumerate(turns):
            home = folder / f"{number}-{place}-{turn.contender.name}"
            home.mkdir()
            async with asyncio.timeout(TURN_SECONDS):
                figures = await run_turn(turn, endpoint, home)
            yield Run(contender=turn.contender.name, delay_ms=turn.delay_ms, round=number, figures=figures)


async def run_turn(turn: Turn, endpoint: Endpoint, folder: Path) -> Figures:
    """Run on an empty store; raises MiscountError unless each recipient received the message once."""
    await endpoint.make_ready(delay_seconds=0)
    async with turn.contender.prepared(folder, endpoint.url) as prepared:
        await prepared.send(_OTHER_PEOPLE, WARM_UP)
        await endpoint.make_ready(turn.delay_ms / 1_000)
        endpoint_before = cpu_seconds([endpoint.pid])
        async with metering(prepared.workers, prepared.stores) as usage:
            seconds = await prepared.send(0, turn.messages)
        endpoint_cpu_seconds = cpu_seconds([endpoint.pid]) - endpoint_before
        await endpoint.check(turn.messages)
    return Figures(
        messages=turn.messages,
        seconds=seconds,
        worker_cpu_seconds=usage.worker_cpu_seconds,
        store_cpu_seconds=usage.store_cpu_seconds,
        peak_memory_bytes=usage.peak_memory_bytes,
        endpoint_cpu_seconds=endpoint_cpu_seconds,
    )
