"""Who may call what: the one table from rpcs to scopes. What does not stand here is refused."""

from collections.abc import Mapping

from server.auth.caller import Scope

_PACKAGE = "/redrive.v1."

_NEEDED: Mapping[Scope, Mapping[str, tuple[str, ...]]] = {
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
    Scope.RECEIPTS: {  # of `redrive-server webhooks`, which faces the internet: nothing else needs this scope
        "ReceiptService": ("RecordReceipts",),
    },
    Scope.ADMIN: {
        "MaintenanceService": ("CleanupDeliveries", "GetCleanup", "ErasePerson"),
        "PageService": ("TransferPage",),
    },
}

NEEDED: Mapping[str, Scope] = {
    f"{_PACKAGE}{service}/{rpc}": scope
    for scope, services in _NEEDED.items()
    for service, rpcs in services.items()
    for rpc in rpcs
}

# Not of our package: whole services.
HEALTH, REFLECTION, CHANNELZ = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/grpc.channelz.v1.Channelz/",
)
