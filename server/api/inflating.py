"""Inflates compressed requests, up to a size. gRPC itself would inflate before anybody has said how much may come.

gRPC does not show whether a request is compressed. A message of the contract never begins like gzip (a wire type that
does not exist), and does not end in the checksum of what it would hold if it began like zlib.
"""

import zlib

from domain.errors import InvalidRequest, Violation
from server.api.limits import RequestTooLarge

_GZIP, _ZLIB = b"\x1f\x8b", 0x78


def inflated_size(raw: bytes, limit: int) -> int:
    """How many bytes a request holds by its own account, and the limit where it gives none."""
    if raw.startswith(_GZIP):
        return min(int.from_bytes(raw[-4:], "little"), limit + 1)
    return limit if _may_be_zlib(raw) else len(raw)


def inflated(raw: bytes, limit: int) -> bytes:
    """What a request holds; raises RequestTooLarge, and InvalidRequest where it cannot be inflated."""
    if raw.startswith(_GZIP):
        found = _inflated(raw, limit, zlib.MAX_WBITS | 16)
        if found is None:
            raise InvalidRequest([Violation("request", "is compressed, but cannot be inflated")])
        return found
    return (_inflated(raw, limit, zlib.MAX_WBITS) or raw) if _may_be_zlib(raw) else raw


def _may_be_zlib(raw: bytes) -> bool:
    return len(raw) > 1 and raw[0] == _ZLIB and not int.from_bytes(raw[:2]) % 31


def _inflated(raw: bytes, limit: int, window: int) -> bytes | None:
    """None: it is not compressed, or is cut off."""
    inflator = zlib.decompressobj(window)
    try:
        found = inflator.decompress(raw, limit + 1)
    except zlib.error:
        return None
    if len(found) > limit:
        raise RequestTooLarge(limit)
    return found if inflator.eof and not inflator.unused_data else None
