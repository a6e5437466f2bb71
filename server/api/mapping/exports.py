"""Mapping of ExportDeliveries requests; the response is a file."""

from typing import Any, NamedTuple

from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportFormat, ExportRows
from server.api.mapping.enums import DELIVERY_STATUSES, ERROR_TYPES
from server.api.validation.reports import ExportDeliveriesRules
from server.queries.export import ATTEMPTS, CSV, JSON_LINES, RECIPIENTS, ExportRequest, Format, RowKind

_KINDS: dict[ExportRows.ValueType, RowKind[Any]] = {ExportRows.EXPORT_ROWS_RECIPIENTS: RECIPIENTS}
_FORMATS = {ExportFormat.EXPORT_FORMAT_JSON_LINES: JSON_LINES}


class Export(NamedTuple):
    """The rows to export, and the format of the file."""

    order: ExportRequest
    kind: RowKind[Any]
    file_format: Format


def export_request(request: ExportDeliveriesRequest, owner: str) -> Export:
    """Return the export of a request; raises InvalidRequest."""
    ExportDeliveriesRules.check(request)
    order = ExportRequest(
        owner=owner,
        message_id=request.message_id,
        page_id=request.page_id,
        recipient_id=request.recipient_id,
        statuses=DELIVERY_STATUSES.names(request.statuses),
        error_types=ERROR_TYPES.names(request.error_types),
    )
    return Export(order, _KINDS.get(request.rows, ATTEMPTS), _FORMATS.get(request.format, CSV))
