"""Translation of each status into an exception."""

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo

import redrive
from redrive import Client, FailedPrecondition, InvalidRequest, RedriveError, ResourceExhausted
from redrive.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, redrive.InvalidRequest),
        (grpc.StatusCode.OUT_OF_RANGE, redrive.InvalidRequest),
        (grpc.StatusCode.NOT_FOUND, redrive.NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, redrive.AlreadyExists),
        (grpc.StatusCode.FAILED_PRECONDITION, redrive.FailedPrecondition),
        (grpc.StatusCode.PERMISSION_DENIED, redrive.PermissionDenied),
        (grpc.StatusCode.UNAUTHENTICATED, redrive.Unauthenticated),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, redrive.ResourceExhausted),
        (grpc.StatusCode.UNAVAILABLE, redrive.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, redrive.DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, redrive.RedriveError),
    ],
)
async def test_a_status_becomes_its_error(
    server: "ScriptedServer", client: Client, code: grpc.StatusCode, kind: type[RedriveError]
) -> None:
    server.refuse("GetMessage", code, ErrorInfo(reason="SOME_REASON", domain="redrive"), message="in words")

    error = await refused(client)

    assert type(error) is kind
    assert (error.code, error.reason, error.message) == (code, "SOME_REASON", "in words")


async def test_a_bad_request_names_its_fields(server: "ScriptedServer", client: Client) -> None:
    details = BadRequest()
    details.field_violations.add(field="page_id", description="is required")
    details.field_violations.add(field="recipients[3].id", description="holds a space")
    server.refuse("GetMessage", grpc.StatusCode.INVALID_ARGUMENT, details, message="2 fields are wrong")

    error = await refused(client)

    assert isinstance(error, InvalidRequest)
    assert error.violations == [("page_id", "is required"), ("recipients[3].id", "holds a space")]
    assert str(error) == "page_id: is required\nrecipients[3].id: holds a space"


async def test_fields_that_are_not_listed_are_counted(server: "ScriptedServer", client: Client) -> None:
    details = BadRequest()
    details.field_violations.add(field="page_id", description="is required")
    message = "page_id: is required (and 1,200 more that are not listed)"
    server.refuse("GetMessage", grpc.StatusCode.INVALID_ARGUMENT, details, message=message)

    assert str(await refused(client)) == "page_id: is required\n(and 1,200 more that are not listed)"


async def test_failed_precondition_lists_the_unmet_conditions(server: "ScriptedServer", client: Client) -> None:
    details = PreconditionFailure()
    details.violations.add(type="PAGE", subject="pages/1", description="is on hold")
    server.refuse("GetMessage", grpc.StatusCode.FAILED_PRECONDITION, details)

    error = await refused(client)

    assert isinstance(error, FailedPrecondition)
    assert error.violations == [("PAGE", "pages/1", "is on hold")]


@pytest.mark.parametrize(
    ("details", "retry_after"),
    [((RetryInfo(retry_delay=Duration(seconds=2)),), 2.0), ((RetryInfo(),), None), ((), None)],
)
async def test_retry_after_is_the_servers_value(
    server: "ScriptedServer", client: Client, details: tuple[Message, ...], retry_after: float | None
) -> None:
    server.refuse("GetMessage", grpc.StatusCode.RESOURCE_EXHAUSTED, *details)

    error = await refused(client)

    assert isinstance(error, ResourceExhausted)
    assert error.retry_after == retry_after


@pytest.mark.parametrize("spoilt", [b"\xff\xff", b"\x08\x05"], ids=["unreadable", "of another status"])
def test_undecodable_details_keep_the_status(spoilt: bytes) -> None:
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", spoilt))
    failure = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), trailers, details="no such message")

    error = error_from_rpc(failure)

    assert isinstance(error, redrive.NotFound)
    assert error.message == "no such message"


async def refused(client: Client) -> RedriveError:
    client._connection.backoff = client._connection.backoff._replace(attempts=1)
    with pytest.raises(RedriveError) as raised:
        await client.get_message("m1")
    return raised.value
