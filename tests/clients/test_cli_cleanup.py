"""The command `redrive cleanup`."""

import json
from typing import TYPE_CHECKING

import pytest

from redrive.v1.maintenance_service_pb2 import (
    Cleanup,
    CleanupDeliveriesRequest,
    CleanupDeliveriesResponse,
    CleanupState,
    GetCleanupResponse,
)

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

RUNNING, DONE = CleanupState.CLEANUP_STATE_RUNNING, CleanupState.CLEANUP_STATE_DONE


def cleanup(state: CleanupState.ValueType, removed: int) -> Cleanup:
    return Cleanup(id="c-1", state=state, deliveries_removed=removed, deliveries_total=3_000)


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redrive.cli.maintenance.POLL_SECONDS", 0.0)


async def test_dry_run_shows_how_many_would_be_removed(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("CleanupDeliveries", CleanupDeliveriesResponse(deliveries_removed=1_234))

    result = await redrive("cleanup", "--dry-run", "--older-than-days", "30")

    asked: CleanupDeliveriesRequest = server.asked("CleanupDeliveries")[0]
    assert (asked.older_than_days, asked.validate_only) == (30, True)
    assert (result.exit_code, result.stdout) == (0, "1,234 deliveries would be removed.\n")


async def test_command_waits_for_a_long_cleanup(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("CleanupDeliveries", CleanupDeliveriesResponse(cleanup=cleanup(RUNNING, 0)))
    later = cleanup(RUNNING, 1_000), cleanup(DONE, 3_000)
    server.answer("GetCleanup", *(GetCleanupResponse(cleanup=one) for one in later))

    result = await redrive("cleanup")

    asked: CleanupDeliveriesRequest = server.asked("CleanupDeliveries")[0]
    assert (asked.older_than_days, asked.validate_only, bool(asked.request_id)) == (90, False, True)
    assert {one.cleanup_id for one in server.asked("GetCleanup")} == {"c-1"}
    lines = result.stdout.splitlines()
    assert lines[:2] == ["0 of 3,000 deliveries removed", "1,000 of 3,000 deliveries removed"]
    assert lines[2].startswith("3,000 deliveries removed, without a change since")


async def test_json_is_the_finished_cleanup(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("CleanupDeliveries", CleanupDeliveriesResponse(cleanup=cleanup(DONE, 3_000)))

    result = await redrive("cleanup", "--output", "json")

    shown = json.loads(result.stdout)
    assert (shown["id"], shown["state"], shown["deliveries_removed"]) == ("c-1", "CLEANUP_STATE_DONE", "3000")


@pytest.mark.parametrize("days", ["0", "3651", "many"])
async def test_days_outside_the_limits_are_refused(redrive: "Redrive", days: str) -> None:
    assert (await redrive("cleanup", "--older-than-days", days)).exit_code == 2
