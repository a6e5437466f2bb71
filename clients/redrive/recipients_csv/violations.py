"""Translation of field violations of the server into lines and columns of the file of recipients."""

import re
from typing import NamedTuple

from google.protobuf.json_format import MessageToJson

from redrive.errors import FieldViolation, InvalidRequest
from redrive.recipients_csv import RecipientsCsv
from redrive.recipients_csv.columns import NAME_COLUMN, location_text
from redrive.v1.content_pb2 import Content

_RECIPIENT = re.compile(r'recipients\[(\d+)\](?:\.(\w+))?(?:\["(\w+)"\])?')
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*(?:\|[^{}]*)?\}\}")
_UNLISTED = re.compile(r" ?\(and [\d,]+ more that are not listed\)$")


class _RecipientField(NamedTuple):
    recipient: int
    name: str
    key: str


def with_file_locations(error: InvalidRequest, recipients: RecipientsCsv, content: Content) -> InvalidRequest:
    """Return the error with `line 3, column city` instead of `recipients[1].variables["city"]`.

    If the server names only the variables as a whole, the placeholders of the content name the columns.
    Other fields stay.
    """
    fields = [_recipient_field(violation.field) for violation in error.violations]
    lines = recipients.lines_of({field.recipient for field in fields if field})
    violations = [
        violation._replace(
            field=location_text(lines[field.recipient], *_columns(field, violation, recipients, content))
        )
        if field and field.recipient in lines
        else violation
        for field, violation in zip(fields, error.violations, strict=True)
    ]
    message = "; ".join(f"{path}: {description}" for path, description in violations)
    unlisted = _UNLISTED.search(error.message)
    return InvalidRequest(
        f"{message}{unlisted[0]}" if unlisted else message or error.message,
        code=error.code,
        reason=error.reason,
        violations=violations,
    )


def _recipient_field(path: str) -> _RecipientField | None:
    found = _RECIPIENT.fullmatch(path)
    return _RecipientField(int(found[1]), found[2] or "", found[3] or "") if found else None


def _columns(
    field: _RecipientField, violation: FieldViolation, recipients: RecipientsCsv, content: Content
) -> list[str]:
    """Return the columns of a violation; none if it concerns the whole row."""
    if field.name == "id":
        return [recipients.id_column]
    if field.name == NAME_COLUMN:
        return [NAME_COLUMN]
    named = [field.key] if field.key else _VARIABLE.findall(violation.description)
    asked = dict.fromkeys(named or _VARIABLE.findall(MessageToJson(content, ensure_ascii=False)))
    return [name for name in asked if name in recipients.variables]
