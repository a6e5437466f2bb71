"""`redrive cleanup`."""

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
    monkeypatch.setattr("redrive.cli.cleanup.LOOK_SECONDS", 0.0)


async def test_a_dry_run_says_what_would_be_removed(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("CleanupDeliveries", CleanupDeliveriesResponse(deliveries_removed=1_234))

    result = await redrive("cleanup", "--dry-run", "--older-than-days", "30")

    asked: CleanupDeliveriesRequest = server.asked("CleanupDeliveries")[0]
    assert (asked.older_than_days, asked.validate_only) == (30, True)
    assert (result.exit_code, result.stdout) == (0, "1,234 deliveries would be removed.\n")


async def test_one_that_takes_longer_is_followed_to_its_end(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("CleanupDeliveries", CleanupDeliveriesResponse(cleanup=cleanup(RUNNING, 0)))
    later = cleanup(RUNNING, 1_000), cleanup(DONE, 3_000)
    server.answer("GetCleanup", *(GetCleanupResponse(cleanup=one) for one in later))

    result = await redrive("cleanup")

    asked: CleanupDeliveriesRequest = server.asked("CleanupDeliveries")[0]
    assert (asked.older_than_days, asked.validate_only, bool(asked.request_id)) == (90, False, True)
    assert {one.cleanup_id for one in server.asked("GetCleanup")} == {"c-1"}
    lines = result.stdout.splitlines()
    assert lines[:2] == ["0 of 3,000 deliveries removed", "1,000 of 3,000 deliveries removed"]
    assert lines[2].startswith("3,000 deliveries removed that have not changed since")


async def test_as_json_it_is_the_cleanup_as_it_ended(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("CleanupDeliveries", CleanupDeliveriesResponse(cleanup=cleanup(DONE, 3_000)))

    result = await redrive("cleanup", "--output", "json")

    told = json.loads(result.stdout)
    assert (told["id"], told["state"], told["deliveries_removed"]) == ("c-1", "CLEANUP_STATE_DONE", "3000")


@pytest.mark.parametrize("days", ["0", "3651", "many"])
async def test_days_out_of_limits_are_refused(redrive: "Redrive", days: str) -> None:
    assert (await redrive("cleanup", "--older-than-days", days)).exit_code == 2
