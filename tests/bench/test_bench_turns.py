"""One turn of the bench with real processes."""

import asyncio
import sys
from pathlib import Path

import pytest

from bench.contenders import CONTENDERS
from bench.contenders.contender import Contender
from bench.endpoint import MiscountError, running_endpoint
from bench.meter import metering
from bench.rounds import Turn, run_turn

MESSAGES = 400
_BURN = "import sys, time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\nsys.stdin.read()"


def _contender(name: str) -> Contender:
    return next(contender for contender in CONTENDERS if contender.name == name)


@pytest.mark.parametrize("name", ["loop-single", "loop-batch", "ours-sqlite-batch"])
async def test_a_turn_sends_all_messages_and_measures_it(tmp_path: Path, name: str) -> None:
    async with running_endpoint(tmp_path) as endpoint:
        figures = await run_turn(Turn(_contender(name), MESSAGES, delay_ms=0), endpoint, tmp_path)

    assert figures.messages == MESSAGES
    assert 0 < figures.seconds < 60
    assert figures.worker_cpu_seconds > 0
    assert figures.peak_memory_bytes > 10_000_000
    assert figures.endpoint_cpu_seconds > 0


async def test_the_endpoint_delays_every_request(tmp_path: Path) -> None:
    async with running_endpoint(tmp_path) as endpoint:
        figures = await run_turn(Turn(_contender("loop-single"), MESSAGES, delay_ms=50), endpoint, tmp_path)

    assert figures.seconds > 0.05 * MESSAGES / 100  # 100 in flight


async def test_a_contender_that_sends_too_few_messages_is_rejected(tmp_path: Path) -> None:
    async with running_endpoint(tmp_path) as endpoint:
        await endpoint.make_ready(delay_seconds=0)
        with pytest.raises(MiscountError, match="0 accepted for 0 of 1 recipients"):
            await endpoint.check(1)


async def test_cpu_time_of_child_processes_counts() -> None:
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BURN!r}])"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    async with metering([parent.pid], []) as usage:
        await parent.stdout.readline()
    parent.stdin.close()
    await parent.wait()

    assert usage.worker_cpu_seconds > 0.3
    assert usage.store_cpu_seconds == 0
