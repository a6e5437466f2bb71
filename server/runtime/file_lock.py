"""Lock files: one process at a time, and an error that says which process has the lock."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.02
_LOCKS = Path("/proc/locks")  # of the kernel; Linux only


class LockHeldError(TimeoutError):
    """Another process had the lock for the whole time."""


def acquire(path: Path, *, within: float) -> IO[str]:
    """Lock a file, which is made if absent, and return it open: closing it gives the lock back.

    Only its owner may open the file, as another process that opens it could lock it for ever; the file of an earlier
    release is changed to that. Raises LockHeldError after `within` seconds, and OSError if the file cannot be opened.
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
    with suppress(PermissionError):  # another user's file: its mode is theirs
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
    """Return the process that has the lock, as the kernel says, else as the process itself has written."""
    pid = _pid_of_kernel(os.fstat(file.fileno())) or file.read(20).strip()
    if not pid.isdecimal() or pid == "0":  # 0 is a process of another container
        return "another process"
    return f"process {pid}{_name_of(pid)}"


def _pid_of_kernel(file: os.stat_result) -> str:
    """Return the pid of the process that has the lock; empty where the kernel does not say it.

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
