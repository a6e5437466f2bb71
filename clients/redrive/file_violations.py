"""Names what the server refuses by the lines and columns of the file that the recipients come from."""

import re
from typing import NamedTuple

from google.protobuf.json_format import MessageToJson

from redrive.csv_columns import NAME_COLUMN, place_of
from redrive.errors import FieldViolation, InvalidRequest
from redrive.recipients_csv import RecipientsCsv
from redrive.v1.content_pb2 import Content

_RECIPIENT = re.compile(r'recipients\[(\d+)\](?:\.(\w+))?(?:\["(\w+)"\])?')
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*(?:\|[^{}]*)?\}\}")
_UNLISTED = re.compile(r" ?\(and [\d,]+ more that are not listed\)$")


class _Place(NamedTuple):
    recipient: int
    field: str
    key: str


def by_line(error: InvalidRequest, recipients: RecipientsCsv, content: Content) -> InvalidRequest:
    """Return the error with `line 3, column city` in place of `recipients[1].variables["city"]`.

    The content names the columns where the server names only the variables as a whole. Other fields stay.
    """
    places = [_place_of(violation.field) for violation in error.violations]
    lines = recipients.lines_of({place.recipient for place in places if place})
    violations = [
        violation._replace(field=place_of(lines[place.recipient], *_columns(place, violation, recipients, content)))
        if place and place.recipient in lines
        else violation
        for place, violation in zip(places, error.violations, strict=True)
    ]
    message = "; ".join(f"{field}: {description}" for field, description in violations)
    unlisted = _UNLISTED.search(error.message)
    return InvalidRequest(
        f"{message}{unlisted[0]}" if unlisted else message or error.message,
        code=error.code,
        reason=error.reason,
        violations=violations,
    )


def _place_of(field: str) -> _Place | None:
    found = _RECIPIENT.fullmatch(field)
    return _Place(int(found[1]), found[2] or "", found[3] or "") if found else None


def _columns(place: _Place, violation: FieldViolation, recipients: RecipientsCsv, content: Content) -> list[str]:
    """Return the columns that a violation is about; none for the row as a whole."""
    if place.field == "id":
        return [recipients.id_column]
    if place.field == NAME_COLUMN:
        return [NAME_COLUMN]
    named = [place.key] if place.key else _VARIABLE.findall(violation.description)
    asked = dict.fromkeys(named or _VARIABLE.findall(MessageToJson(content, ensure_ascii=False)))
    return [name for name in asked if name in recipients.variables]
