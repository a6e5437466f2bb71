"""Lock files are private, and a failed wait names the process that holds the lock."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server.auth import auth_file
from server.auth.auth_file import TokenFile
from server.auth.caller import Scope
from server.auth.tokens import new_token
from server.eventstore.sqlite.store import DatabaseInUseError, SqliteStore
from server.runtime import file_lock
from server.runtime.file_lock import LockHeldError, acquire
from tests.builders import wall_clock

HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
)


@contextmanager
def held_elsewhere(path: Path) -> Iterator[int]:
    """Let another process hold the lock without writing to the file; yield its id."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder.pid
        holder.kill()


def add_caller(path: Path) -> None:
    TokenFile(path).add(new_token("ann", (Scope.READ,), now=wall_clock(), expire_time=None).kept)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


def test_only_the_owner_can_open_a_lock_file(lock: Path) -> None:
    before = os.umask(0)
    try:
        acquire(lock, within=0).close()
    finally:
        os.umask(before)
    assert mode(lock) == 0o600


@pytest.mark.parametrize("loose", [0o644, 0o666, 0o777])
def test_the_lock_file_of_an_earlier_release_becomes_private(lock: Path, loose: int) -> None:
    lock.touch()
    lock.chmod(loose)
    acquire(lock, within=0).close()
    assert mode(lock) == 0o600


def test_the_lock_files_of_database_and_callers_are_private(tmp_path: Path) -> None:
    database, callers = tmp_path / "redrive.db", tmp_path / "callers.json"
    for name in ("redrive.db.lock", ".callers.json.lock"):
        (tmp_path / name).touch(mode=0o644)
    with closing(SqliteStore(database)):
        add_caller(callers)

    assert {path.name: mode(path) for path in tmp_path.glob("*.lock")} == {
        "redrive.db.lock": 0o600,
        ".callers.json.lock": 0o600,
    }


def test_a_failed_wait_names_the_process_that_holds_the_lock(lock: Path) -> None:
    with (
        held_elsewhere(lock) as pid,
        pytest.raises(LockHeldError, match=rf"a\.lock is locked by process {pid} \(python"),
    ):
        acquire(lock, within=0.1)


def test_a_process_is_named_even_if_the_kernel_does_not_report_it(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "_LOCKS", Path("/nowhere"))
    with acquire(lock, within=0), pytest.raises(LockHeldError, match=f"locked by process {os.getpid()}"):
        acquire(lock, within=0)
    with held_elsewhere(lock), pytest.raises(LockHeldError, match=f"locked by process {os.getpid()}|another process"):
        acquire(lock, within=0)


def test_a_lock_released_in_time_is_acquired(lock: Path) -> None:
    first = acquire(lock, within=0)
    with held_elsewhere(lock.with_name("other")):
        first.close()
        acquire(lock, within=5).close()


def test_a_symbolic_link_in_place_of_a_lock_file_is_not_followed(lock: Path) -> None:
    target = lock.with_name("target")
    target.write_text("precious")
    lock.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        acquire(lock, within=0)
    assert target.read_text() == "precious"


def test_a_database_in_use_names_the_process(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "redrive.db.lock") as pid, pytest.raises(DatabaseInUseError, match=f"process {pid}"):
        SqliteStore(tmp_path / "redrive.db")


def test_a_change_of_callers_does_not_wait_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_file, "LOCK_SECONDS", 0.1)
    began = time.monotonic()
    with held_elsewhere(tmp_path / ".callers.json.lock") as pid, pytest.raises(OSError, match=f"process {pid}"):
        TokenFile(tmp_path / "callers.json").add(
            new_token("ann", (Scope.READ,), now=wall_clock(), expire_time=None).kept
        )
    assert time.monotonic() - began < 5
