"""Measures CPU time and memory of processes and their descendants."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

import psutil

SAMPLE_SECONDS = 0.5  # reading a process's shared pages takes some milliseconds


class Usage:
    """Resources used; complete when the block of `metering` has ended."""

    worker_cpu_seconds = 0.0
    store_cpu_seconds = 0.0
    peak_memory_bytes = 0


@asynccontextmanager
async def metering(workers: Sequence[int], stores: Sequence[int]) -> AsyncIterator[Usage]:
    """Measure the processes with these ids while the block runs."""
    usage = Usage()
    worker_before, store_before = cpu_seconds(workers), cpu_seconds(stores)
    sampling = asyncio.create_task(_keep_peak(usage, [*workers, *stores]))
    try:
        yield usage
    finally:
        usage.worker_cpu_seconds = cpu_seconds(workers) - worker_before
        usage.store_cpu_seconds = cpu_seconds(stores) - store_before
        sampling.cancel()
        _sample(usage, [*workers, *stores])


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time so far, with that of child processes that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in _trees(pids))


def memory_bytes(pids: Sequence[int]) -> int:
    """Return the memory in use; on Linux a shared page is divided among its processes, elsewhere it counts for each."""
    return sum(_memory_of(process) for process in _trees(pids))


async def _keep_peak(usage: Usage, pids: Sequence[int]) -> None:
    while True:
        _sample(usage, pids)
        await asyncio.sleep(SAMPLE_SECONDS)


def _sample(usage: Usage, pids: Sequence[int]) -> None:
    usage.peak_memory_bytes = max(usage.peak_memory_bytes, memory_bytes(pids))


def _memory_of(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    return 0


def _trees(pids: Sequence[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)
