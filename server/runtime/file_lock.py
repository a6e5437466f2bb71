"""Lock files: one process holds the lock at a time, and the error names the process that holds it."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.02
_LOCKS = Path("/proc/locks")  # the kernel's list of locks; Linux only


class LockHeldError(TimeoutError):
    """Another process held the lock for the whole waiting time."""


def acquire(path: Path, *, within: float) -> IO[str]:
    """Lock a file, which is created if missing, and return it open; closing it releases the lock.

    The file is made readable by its owner only, also one of an earlier release: a process that can open it could hold
    its lock. Raises LockHeldError after `within` seconds, and OSError if the file cannot be opened.
    """
    file = _opened(path)
    try:
        _lock(file, path, time.monotonic() + within)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def _opened(path: Path) -> IO[str]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):  # the file belongs to another user
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "r+")


def _lock(file: IO[str], path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise LockHeldError(f"{path} is locked by {_holder(file)}") from error
            time.sleep(_POLL_SECONDS)
        else:
            return


def _holder(file: IO[str]) -> str:
    """Return the process that holds the lock: by the kernel's list, else by the pid that it wrote into the file."""
    pid = _pid_of_kernel(os.fstat(file.fileno())) or file.read(20).strip()
    if not pid.isdecimal() or pid == "0":  # 0 is a process of another container
        return "another process"
    return f"process {pid}{_name_of(pid)}"


def _pid_of_kernel(file: os.stat_result) -> str:
    """Return the pid of the process that holds the lock; empty if the kernel does not list it.

    A line is `1: FLOCK ADVISORY WRITE 1234 fe:01:5678 0 EOF`: pid, then device and inode.
    """
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    with suppress(OSError):
        for line in _LOCKS.read_text().splitlines():
            fields = line.split()
            if "->" not in fields and wanted in fields and "FLOCK" in fields:
                return fields[4]
    return ""


def _name_of(pid: str) -> str:
    with suppress(OSError):
        return f" ({Path('/proc', pid, 'comm').read_text().strip()})"
    return ""
