"""Fixtures for every test, and which tests have the machine to themselves."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests.databases import database_url
from tests.e2e.programs import fork_programs
from tests.postgres import postgres_server, postgres_url

__all__ = ["database_url", "postgres_server", "postgres_url"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("redrive", deadline=None)
settings.load_profile("redrive")

# Without bytecode, each worker and each server process compiles every module of this repository again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Databases wait for the disk at each commit; files in memory do not. A killed process loses nothing by that.
MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4 << 30
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

fork_programs()

# Test classes in modules that are no test modules; before any test imports them.
pytest.register_assert_rewrite(
    "tests.server.eventstore.event_log_conformance", "tests.server.eventstore.busy_log_conformance"
)

# They measure time. `make test` runs all others first, three at a time: most of those wait for processes or answers.
ALONE = {
    "clients/test_client_retries.py",
    "clients/test_client_watch.py",
    "dashboard/test_dashboard_first_paint.py",
    "e2e/test_processes.py",
    "e2e/test_watching.py",
    "server/api/test_shared_readers.py",
    "server/sending/test_delivery_cancels.py",
    "server/sending/test_delivery_pace.py",
    "server/sending/test_delivery_pauses.py",
    "server/sending/test_delivery_outcomes.py",
    "server/sending/test_fairness.py",
    "server/sending/test_rate_limiter.py",
    "server/eventstore/test_postgres_outages.py",
    "server/sandbox/test_sandbox_effects.py",
}


# Single tests of these files take ten seconds and more. They run first, so that no worker waits for them at the end.
LONG = {"faults/test_faults.py", "model/test_model.py", "projections/test_consistency.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that have to run alone, and begin with the longest."""
    for item in items:
        if _file_of(item) in ALONE:
            item.add_marker("alone")
    items.sort(key=lambda item: _file_of(item) not in LONG)


def _file_of(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).as_posix()
