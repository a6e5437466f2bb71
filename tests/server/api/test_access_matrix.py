"""Authorization: every rpc of the contract with every kind of credentials."""

from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from server.api.interceptors.scopes import REQUIRED_SCOPES
from server.auth.caller import Scope
from tests.server.api.edge import Edge
from tests.server.api.known_callers import LISTED, Callers, guarded_edge, of_every_kind, secure_wire
from tests.server.api.refusals import refusal
from tests.server.api.rpcs import RPCS, Metadata, call, path

UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
LOST_STATUS = frozenset(
    {grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN}
)
REASONS = {
    "nothing": "CREDENTIALS_MISSING",
    "an expired token": "CREDENTIALS_EXPIRED",
    "an expired JWT": "CREDENTIALS_EXPIRED",
}


async def answer_to(wire: grpc.aio.Channel, rpc: MethodDescriptor, metadata: Metadata) -> tuple[str, str, str]:
    """Return code, reason and missing scope; all empty when the call is authorized.

    A call is repeated if the connection lost its status: a server may refuse a stream that the client still writes.
    """
    for _ in range(3):
        try:
            await call(wire, rpc, GetMessageClass(rpc.input_type)(), metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() in LOST_STATUS:
                continue
            return _answer(error)
        return "", "", ""
    raise AssertionError(f"{rpc.name} had no status three times")


def _answer(error: grpc.aio.AioRpcError) -> tuple[str, str, str]:
    if error.code() in (UNAUTHENTICATED, DENIED):
        refused = refusal(error)
        assert refused.info.domain == "redrive"
        return refused.code.name, refused.info.reason, refused.info.metadata.get("scope", "")
    return "", "", ""


def expected(rpc: MethodDescriptor, kind: str, scopes: frozenset[Scope] | None) -> tuple[str, str, str]:
    needed = REQUIRED_SCOPES[path(rpc)]
    if scopes is None:
        return UNAUTHENTICATED.name, REASONS.get(kind, "CREDENTIALS_INVALID"), ""
    return ("", "", "") if needed in scopes else (DENIED.name, "SCOPE_MISSING", needed.value)


async def test_every_caller_is_authorized_by_its_scopes_only(tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    kinds = of_every_kind(callers)
    async with guarded_edge(callers) as edge:
        seen, wanted = {}, {}
        for rpc in RPCS:
            for kind, (metadata, scopes) in kinds.items():
                seen[rpc.name, kind] = await answer_to(edge.wire, rpc, metadata)
                wanted[rpc.name, kind] = expected(rpc, kind, scopes)

    assert len(wanted) == len(RPCS) * len(kinds) > 400
    assert seen == wanted


async def test_a_certificate_authenticates_like_a_token(tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    listed = callers.authority.certify("not looked at", LISTED)
    by_common_name = callers.authority.certify(LISTED)
    unlisted = callers.authority.certify("unlisted", "unlisted.example.org")
    read = frozenset({Scope.READ})
    async with guarded_edge(callers, certificates=callers.certificates()) as edge:
        for mine, scopes in ((listed, read), (by_common_name, read), (unlisted, None)):
            async with secure_wire(edge, callers.authority, mine) as wire:
                for rpc in RPCS:
                    assert await answer_to(wire, rpc, ()) == expected(rpc, "a certificate", scopes), rpc.name


async def test_a_token_takes_precedence_over_a_certificate(tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    kinds = of_every_kind(callers)
    async with (
        guarded_edge(callers, certificates=callers.certificates()) as edge,
        secure_wire(edge, callers.authority, callers.authority.certify(LISTED)) as wire,
    ):
        for kind in ("an admin", "a wrong token"):
            for rpc in RPCS:
                metadata, scopes = kinds[kind]
                assert await answer_to(wire, rpc, metadata) == expected(rpc, kind, scopes), rpc.name


@pytest.mark.parametrize("mine", ["none", "of another authority"])
async def test_a_certificate_of_another_authority_opens_no_connection(mine: str, tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    foreign = None if mine == "none" else Callers(tmp_path).authority.certify(LISTED)
    async with (
        guarded_edge(callers, certificates=callers.certificates()) as edge,
        secure_wire(edge, callers.authority, foreign) as wire,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(wire, RPCS[0], GetMessageClass(RPCS[0].input_type)())

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_without_authentication_every_caller_has_every_scope(edge: Edge) -> None:
    for rpc in RPCS:
        assert await answer_to(edge.wire, rpc, ()) == ("", "", ""), rpc.name
