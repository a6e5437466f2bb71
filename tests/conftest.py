"""Fixtures for every test, and which tests have the machine to themselves."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.databases import database_url
from tests.postgres import postgres_server, postgres_url

__all__ = ["database_url", "postgres_server", "postgres_url"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("redrive", deadline=None)
settings.load_profile("redrive")

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that have to run alone."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).as_posix() in ALONE:
            item.add_marker("alone")
