"""Another owner's message costs as much as an unknown id: the query compares the owner and reads no row."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from projections.sql import Row
from redrive.v1.delivery_service_pb2 import GetMessageRequest, ListFailedRequest
from server.auth.caller import Scope
from server.eventstore.sqlite.sql import SqliteSql
from tests.builders import FAILED, NOW
from tests.server.api.edge import Edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.refusals import refusal_of
from tests.server.api.rpcs import RPCS, Metadata, call, is_about_messages, request_about

THEIRS, UNKNOWN = "m-theirs", "m-absent"  # of the same length


class Spy:
    """Records the statements with the number of rows that they read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, int]] = []
        rows, row = SqliteSql.rows, SqliteSql.row

        def all_rows(sql: SqliteSql, statement: str, *parameters: Any, **given: Any) -> Sequence[Row]:
            found = rows(sql, statement, *parameters, **given)
            self.seen.append((statement, len(found)))
            return found

        def first_row(sql: SqliteSql, statement: str, *parameters: Any) -> Row | None:
            found = row(sql, statement, *parameters)
            self.seen.append((statement, int(found is not None)))
            return found

        monkeypatch.setattr(SqliteSql, "rows", all_rows)
        monkeypatch.setattr(SqliteSql, "row", first_row)

    def taken(self) -> list[tuple[str, int]]:
        """Return the statements since the last call."""
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[Edge, Metadata]]:
    callers = Callers(tmp_path)
    async with guarded_edge(callers) as edge:
        await edge.submit_as("shop", THEIRS)
        await edge.deliver(THEIRS, {"ann": FAILED})
        yield edge, token_metadata(callers.token("crm", *(scope for scope in Scope if scope is not Scope.ADMIN)))


async def test_no_rpc_reads_more_of_another_owners_message_than_of_an_unknown_id(
    guarded: tuple[Edge, Metadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    edge, metadata = guarded
    requests: list[tuple[Any, Any, Any]] = [
        (rpc, request_about(rpc, THEIRS), request_about(rpc, UNKNOWN)) for rpc in filter(is_about_messages, RPCS)
    ]
    past: Any = {"as_of_time": NOW}
    rpcs = {rpc.name: rpc for rpc in RPCS}
    for name, kind in (("GetMessage", GetMessageRequest), ("ListFailed", ListFailedRequest)):
        requests.append((rpcs[name], kind(message_id=THEIRS, **past), kind(message_id=UNKNOWN, **past)))
    spy = Spy(monkeypatch)
    compared = []
    for rpc, theirs, unknown in requests:
        costs = []
        for request in (theirs, unknown):
            spy.taken()
            refusal = await refusal_of(call(edge.wire, rpc, request, metadata))
            assert refusal.code is grpc.StatusCode.NOT_FOUND, rpc.name
            costs.append(spy.taken())
        assert costs[0] == costs[1], rpc.name
        compared.append(rpc.name)

    assert {"GetMessage", "ListBatches", "ListDeliveries", "ListFailed", "Resend", "WatchProgress"} <= set(compared)
