"""Who calls, for handlers: the gate has found it out before they run."""

from contextvars import ContextVar
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import unquote

import grpc.aio

from server.auth.caller import LOCAL, Caller

Context = grpc.aio.ServicerContext[Any, Any]

CALLER: ContextVar[Caller] = ContextVar("caller", default=LOCAL)  # every call is answered in a context of its own


def caller(context: Context) -> str:  # noqa: ARG001 - of the call that runs; here and below
    """The owner of what the call makes, and who is written down as having asked for a change."""
    return CALLER.get().owner


def sees(context: Context) -> str:  # noqa: ARG001
    """Whose messages the call may see and change: an owner's, or ANY_OWNER's (an admin)."""
    return CALLER.get().sees


def serves(context: Context) -> str:  # noqa: ARG001
    """Whose messages it is about where no message is named: receipts come for a page, whoever sent."""
    return CALLER.get().serves


# Whom the gate has let in, as far as the limits need it.


class Admitted(NamedTuple):
    """By which name a call is counted."""

    key: str  # the owner, or where anybody may call the peer's address
    is_known: bool


def peer_address(peer: str) -> str:
    """Where a call comes from, as gRPC names it, without the port; of IPv6 the network, which has one holder."""
    family, _, place = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return peer
    host = unquote(place.rpartition(":")[0]).strip("[]").partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return peer
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)
