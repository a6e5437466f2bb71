"""The scope that each rpc requires. The gate refuses rpcs that are not in this table."""

from collections.abc import Mapping

from server.auth.caller import Scope

_PACKAGE = "/redrive.v1."

_RPCS_BY_SCOPE: Mapping[Scope, Mapping[str, tuple[str, ...]]] = {
    Scope.SEND: {
        "DeliveryService": ("Send", "SendStream", "PauseMessage", "ResumeMessage", "CancelMessage"),
    },
    Scope.READ: {
        "DeliveryService": (
            *("GetMessage", "ListMessages", "ListBatches", "ListDeliveries", "ListFailed", "ListEvents"),
            *("ListRetries", "WatchProgress"),
        ),
        "PageService": ("ListPages",),
        "ReportService": ("SummarizeFailures", "GetDeliveryReport", "ExportDeliveries"),
        "RetryService": ("GetRetrySchedule",),
    },
    Scope.RESEND: {
        "DeliveryService": ("Resend",),
    },
    Scope.SCHEDULE: {
        "RetryService": ("RunScheduledRetries", "ProcessBatches"),
    },
    Scope.PAGES: {
        "PageService": ("PutPage", "HoldPage", "ReleasePage", "SharePage"),
    },
    Scope.RECEIPTS: {  # only for `redrive-server webhooks`, which is reachable from the internet
        "ReceiptService": ("RecordReceipts",),
    },
    Scope.ADMIN: {
        "MaintenanceService": ("CleanupDeliveries", "GetCleanup", "ErasePerson"),
        "PageService": ("TransferPage",),
    },
}

REQUIRED_SCOPES: Mapping[str, Scope] = {
    f"{_PACKAGE}{service}/{rpc}": scope
    for scope, services in _RPCS_BY_SCOPE.items()
    for service, rpcs in services.items()
    for rpc in rpcs
}

# Standard services, by the prefix of their methods.
HEALTH, REFLECTION, CHANNELZ = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/grpc.channelz.v1.Channelz/",
)
