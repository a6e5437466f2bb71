"""A process that has imported both programs and forks a child for each program that a test starts.

The imports take most of a second of CPU. A forked child is a process like any other: it has a pid, an environment and
open files of its own, and a signal kills it. Nothing is shared with other children: gRPC and the event loops start
their threads after the fork.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redrive.cli.main import main as redrive
from server.main import cli as redrive_server
from tests.faults.sliced_server import main as sliced_server

PROGRAMS: dict[str, Callable[[], Any]] = {
    "redrive": redrive,
    "redrive-server": redrive_server,
    "sliced-server": sliced_server,
}
LARGEST_REQUEST = 1 << 20
FIRST_FREE_FILE, LAST_FILE = 3, 4096  # 0 to 2 are standard input, output and errors


@dataclass
class Child:
    """One forked child, and the pipe that its end is reported on."""

    pid: int
    pidfd: int
    reports: int

    def report_end(self) -> None:
        """Write the exit code; it is negative if a signal killed the child."""
        _, status = os.waitpid(self.pid, 0)
        os.write(self.reports, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(self.reports)
        os.close(self.pidfd)


class ForkServer:
    """Forks a child for each request that comes through a socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._children: dict[int, Child] = {}

    def serve(self) -> dict[str, Any] | None:
        """Return the request in each child; in the parent, return None when the test process is gone."""
        while True:
            ready = [key.fd for key, _ in self._selector.select()]
            for pidfd in set(ready) & set(self._children):
                self._selector.unregister(pidfd)
                self._children.pop(pidfd).report_end()
            if self._control.fileno() not in ready:
                continue
            message, files, _, _ = socket.recv_fds(self._control, LARGEST_REQUEST, 3)
            if not message:
                self._kill_children()
                return None
            if self._is_child_after_fork(*files):
                request: dict[str, Any] = json.loads(message)
                return request

    def _is_child_after_fork(self, reports: int, output: int, errors: int) -> bool:
        pid = os.fork()
        if pid == 0:
            self._selector.close()
            self._control.close()
            os.dup2(output, 1)
            os.dup2(errors, 2)
            os.closerange(FIRST_FREE_FILE, LAST_FILE)
            return True
        os.close(output)
        os.close(errors)
        os.write(reports, f"{pid}\n".encode())
        child = Child(pid, os.pidfd_open(pid), reports)
        self._children[child.pidfd] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ)
        return False

    def _kill_children(self) -> None:
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)


def run(request: dict[str, Any]) -> Any:
    """Run the program of the request with its arguments and in its environment."""
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = [request["program"], *request["arguments"]]
    return PROGRAMS[request["program"]]()


if __name__ == "__main__":
    gc.freeze()  # a collection in a child would copy the memory that it shares with its parent
    request = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    sys.exit(run(request) if request else 0)
