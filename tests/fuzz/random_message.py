"""Random requests built from the contract's descriptors: valid, nearly valid and broken."""

import random
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_TEXTS = (
    *("", " ", "Hi {{name}}", "{{", "\u0000", "x" * 2_001, "\u00e9" * 129, "\U0001f600"),
    *("../..", "'; DROP TABLE messages; --", "%s%n"),
)
_WHOLE = (0, 1, 2, -1, 7, 100, 1_000, 1_001, 2**31 - 1, -(2**31))
_LONG = (*_WHOLE, 2**63 - 1, -(2**63))
_REAL = (0.0, 0.5, 1.0, 10.0, -1.0, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"))
_WHOLE_TYPES = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32)
_UNSIGNED_TYPES = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
_LONG_TYPES = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_REAL_TYPES = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
SET = 0.7  # share of fields that are set
KNOWN = 0.6  # share of texts that the service returned before
MUTATED = 0.15  # share of requests with changed bytes
DEPTH = 6


class RandomMessages:
    """Draws messages of any type; ids and tokens from answers appear in later requests."""

    def __init__(self, chance: random.Random, known: Sequence[str]) -> None:
        self._chance = chance
        self._known = list(known)

    def learn(self, answer: Message) -> None:
        """Store the ids and tokens of an answer."""
        for field, value in answer.ListFields():
            if field.message_type is not None:
                for one in value if field.is_repeated else (value,):
                    if isinstance(one, Message):
                        self.learn(one)
            elif isinstance(value, str) and field.name.endswith(("id", "token")) and len(self._known) < 500:
                self._known.append(value)

    def bytes_of(self, kind: Descriptor) -> bytes:
        """Return a serialized message; some have changed bytes."""
        raw = bytearray(self.message(kind).SerializePartialToString())
        if self._chance.random() < MUTATED and raw:
            for _ in range(self._chance.randint(1, 4)):
                raw[self._chance.randrange(len(raw))] = self._chance.randrange(256)
            del raw[self._chance.randint(1, len(raw)) :]
        return bytes(raw)

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """Return a message with random values in its fields."""
        message = GetMessageClass(kind)()
        for field in kind.fields:
            if self._chance.random() < SET:
                self._set(message, field, depth)
        return message

    def _set(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None:
            self._set_message(message, field, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(
                self._value(field) for _ in range(self._chance.choice((0, 1, 2, 5, 60)))
            )
        else:
            setattr(message, field.name, self._value(field))

    def _set_message(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if depth >= DEPTH:
            return
        kind: Any = field.message_type
        if kind.GetOptions().map_entry:
            self._fill_map(getattr(message, field.name), kind.fields_by_name["value"], depth)
        elif field.is_repeated:
            few = self._chance.choice((0, 1, 2, 3, 120)) if depth < 1 else self._chance.randint(0, 2)
            getattr(message, field.name).extend(self.message(kind, depth + 1) for _ in range(few))
        else:
            getattr(message, field.name).CopyFrom(self.message(kind, depth + 1))

    def _fill_map(self, entries: Any, value: FieldDescriptor, depth: int) -> None:
        for _ in range(self._chance.randint(0, 4)):
            if value.message_type is None:
                entries[self._text()] = self._value(value)
            else:
                entries[self._text()].CopyFrom(self.message(value.message_type, depth + 1))

    def _value(self, field: FieldDescriptor) -> Any:
        if field.enum_type is not None:
            return self._chance.choice([*(value.number for value in field.enum_type.values), 99, -1])
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._bytes() if field.type == FieldDescriptor.TYPE_BYTES else self._text()
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self._chance.random() < 0.5
        if field.cpp_type in _REAL_TYPES:
            return self._chance.choice(_REAL)
        numbers = _LONG if field.cpp_type in _LONG_TYPES else _WHOLE
        number = self._chance.choice(numbers)
        return (
            abs(number)
            if field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
            else number
        )

    def _text(self) -> str:
        if self._chance.random() < KNOWN:
            return self._chance.choice(self._known)
        return self._chance.choice((*_TEXTS, str(self._chance.randrange(10**9))))

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 16, 3_000)))
