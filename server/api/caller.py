"""The caller of the current rpc, and the address of its peer."""

from contextvars import ContextVar
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import unquote

import grpc.aio

from server.auth.caller import LOCAL, Caller

Context = grpc.aio.ServicerContext[Any, Any]

CALLER: ContextVar[Caller] = ContextVar("caller", default=LOCAL)  # gRPC runs each call in a context of its own


class AdmittedCall(NamedTuple):
    """The key by which the limits count an admitted call."""

    key: str  # the owner; for an rpc that needs no credentials, the peer's address
    is_known: bool  # False for an rpc that needs no credentials


def calling_owner(context: Context) -> str:  # noqa: ARG001 - shows that a call runs: only then is CALLER set
    """Return the owner of what the call creates, which is also recorded as the author of a change."""
    return CALLER.get().owner


def visible_owner(context: Context) -> str:  # noqa: ARG001
    """Return the owner whose messages the call may see and change, or ANY_OWNER for an admin."""
    return CALLER.get().sees


def receipts_owner(context: Context) -> str:  # noqa: ARG001
    """Return the owner for whose messages the call may record receipts, or ANY_OWNER."""
    return CALLER.get().serves


def peer_address(peer: str) -> str:
    """Return the address of gRPC's peer name without the port; for IPv6 its /64 network, which has one holder."""
    family, _, address_and_port = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return peer
    host = unquote(address_and_port.rpartition(":")[0]).strip("[]").partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return peer
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)
