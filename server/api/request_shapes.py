"""Refuses requests that grow when they are decoded: an empty recipient has 2 bytes on the wire and 60 in memory."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from domain.errors import InvalidRequest, Violation

UNCOUNTED = 4 * 1024 * 1024  # a request up to this size may grow: to 128 MiB
MOST_ELEMENTS = 600_000  # of one request: 10,000 recipients with 50 variables each, and more


class _Counter:
    def __init__(self, most: int) -> None:
        self._left = most

    def one(self) -> None:
        self._left -= 1
        if self._left < 0:
            words = f"holds more than {MOST_ELEMENTS:,} recipients, variables and other parts: send it in several"
            raise InvalidRequest([Violation("request", words)])


def check_shape(raw: bytes, descriptor: Descriptor) -> None:
    """Raises InvalidRequest for a large request of very many parts; one that is not well-formed is left to decoding."""
    if len(raw) > UNCOUNTED:
        _count(raw, 0, len(raw), descriptor, _Counter(MOST_ELEMENTS))


def _count(raw: bytes, place: int, end: int, descriptor: Descriptor | None, counter: _Counter) -> None:
    fields = {} if descriptor is None else descriptor.fields_by_number
    while place < end:
        tag, place = _varint(raw, place, end)
        counter.one()
        field = fields.get(tag >> 3)
        match tag & 7:
            case 0:
                _, place = _varint(raw, place, end)
            case 1:
                place += 8
            case 5:
                place += 4
            case 2:
                size, place = _varint(raw, place, end)
                if field is not None and size > 0:
                    _descend(raw, place, min(place + size, end), field, counter)
                place += size
            case _:
                return


def _descend(raw: bytes, place: int, end: int, field: FieldDescriptor, counter: _Counter) -> None:
    inner = field.message_type
    if inner is None or (inner.GetOptions().map_entry and inner.fields_by_name["value"].message_type is None):
        return
    _count(raw, place, end, inner, counter)


def _varint(raw: bytes, place: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while place < end and shift < 70:
        byte = raw[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number, place
