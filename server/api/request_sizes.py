"""How large the requests of each rpc may be, uncompressed. The settings limit all of them."""

SMALL = 64 * 1024
_DELIVERY = "/redrive.v1.DeliveryService/"
_UNLIMITED = 1 << 31

# Those that hold recipients, contents or receipts. Whatever is not named here has ids, names and filters.
_LARGE = frozenset(
    (*(_DELIVERY + rpc for rpc in ("Send", "SendStream", "Resend")), "/redrive.v1.ReceiptService/RecordReceipts")
)


def request_limit(method: str) -> int:
    """The most bytes of one request of this rpc, as long as the settings allow them."""
    return _UNLIMITED if method in _LARGE else SMALL
