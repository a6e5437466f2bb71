"""Start `redrive` and `redrive-server` as real processes: by their own command, or forked by the fork server."""

import asyncio
import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

ROOT = Path(__file__).parents[2]

Target = int | IO[bytes]  # PIPE, DEVNULL or a file


class Program(Protocol):
    """A program that runs, as asyncio's `Process` is."""

    pid: int
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, signal: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...
    async def communicate(self) -> tuple[bytes, bytes]: ...


class _Forking:
    """Whether programs are forked. `make bench` and `make faults` start each program on its own."""

    is_on = False


def fork_programs() -> None:
    """Fork the programs of this process's tests. Only Linux has what the fork server needs."""
    _Forking.is_on = sys.platform == "linux"


async def start_program(
    name: str,
    *arguments: str,
    environment: Mapping[str, str],
    stdout: Target = DEVNULL,
    stderr: Target = DEVNULL,
    is_forked: bool = True,
) -> Program:
    """Start `redrive`, `redrive-server` or `sliced-server` with exactly this environment.

    A test of the process itself, such as of its memory or of its command line, passes `is_forked=False`.
    """
    if _Forking.is_on and is_forked:
        return await _whole(_fork(name, arguments, environment, stdout, stderr))
    command = (*_command(name), *arguments)
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=stdout, stderr=stderr)


def _command(name: str) -> tuple[str, ...]:
    if name == "sliced-server":  # a module of the tests
        return (sys.executable, "-m", "tests.faults.sliced_server")
    return (str(Path(sys.executable).with_name(name)),)


class ForkedProgram:
    """A child of the fork server, which reports its end."""

    def __init__(
        self,
        pid: int,
        reports: asyncio.StreamReader,
        stdout: asyncio.StreamReader | None,
        stderr: asyncio.StreamReader | None,
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self._end = asyncio.create_task(_rest(reports))

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative number of the signal that killed it; None while it runs."""
        return int(self._end.result()) if self._end.done() else None

    def send_signal(self, number: int) -> None:
        """Raise ProcessLookupError if the program has ended."""
        if self._end.done():
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has ended. Return the exit code."""
        return int(await asyncio.shield(self._end))

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return what it still writes before it ends."""
        output, errors, _ = await asyncio.gather(_rest(self.stdout), _rest(self.stderr), self.wait())
        return output, errors


async def _whole(starting: Coroutine[Any, Any, ForkedProgram]) -> ForkedProgram:
    """Wait for a start. If the caller is cancelled, no program is left."""
    start = asyncio.create_task(starting)
    try:
        return await asyncio.shield(start)
    except asyncio.CancelledError:
        program = await start
        program.kill()
        await program.wait()
        raise


async def _fork(
    name: str, arguments: tuple[str, ...], environment: Mapping[str, str], stdout: Target, stderr: Target
) -> ForkedProgram:
    request = {"program": name, "arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())}
    reports, reports_end = await _pipe()
    output, output_end = await _target(stdout)
    errors, errors_end = await _target(stderr)
    ends = [reports_end, output_end, errors_end]
    socket.send_fds(_fork_server(), [json.dumps(request).encode()], ends)
    for end in ends:
        os.close(end)
    return ForkedProgram(int(await reports.readline()), reports, output, errors)


@functools.cache
def _fork_server() -> socket.socket:
    """Start the fork server of this process. It ends when the socket is closed, and kills its children."""
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.e2e.fork_server", str(other.fileno())]
    server = subprocess.Popen(
        command, cwd=ROOT, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
    )
    other.close()

    def stop() -> None:
        mine.close()
        server.wait()

    atexit.register(stop)
    return mine


async def _pipe() -> tuple[asyncio.StreamReader, int]:
    """Make a pipe. Return the end that this process reads and the other end."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(read, "rb"))
    return reader, write


async def _target(target: Target) -> tuple[asyncio.StreamReader | None, int]:
    if target == PIPE:
        return await _pipe()
    if target == DEVNULL:
        return None, os.open(os.devnull, os.O_WRONLY)
    return None, os.dup(target if isinstance(target, int) else target.fileno())


async def _rest(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()
