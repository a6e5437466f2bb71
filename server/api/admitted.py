"""Whom the gate has let in, as far as the limits need it."""

from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote


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
