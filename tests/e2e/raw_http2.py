"""HTTP/2 calls that no gRPC client makes: compression bombs, and requests without their last byte."""

import gzip
import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = 16_384
_INITIAL_WINDOW = 65_535


class Call(NamedTuple):
    """Content of one call; `length` is the announced length, and `body` may be shorter."""

    path: str
    body: bytes
    length: int
    compressed: bool = False
    metadata: Sequence[tuple[str, str]] = ()


def bomb(path: str, size: int, metadata: Sequence[tuple[str, str]] = ()) -> Call:
    """Return a complete message of zeros, about a thousand times smaller on the wire."""
    packed = gzip.compress(bytes(size), 6)
    return Call(path, packed, len(packed), compressed=True, metadata=metadata)


def half_sent(path: str, size: int, metadata: Sequence[tuple[str, str]] = ()) -> Call:
    """Return a message without its last byte."""
    return Call(path, bytes(size - 1), size, metadata=metadata)


class RawConnection:
    """One connection with many calls; each call sends as fast as flow control allows."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._window = _INITIAL_WINDOW
        self._initial = _INITIAL_WINDOW
        self._windows: dict[int, int] = {}
        self._left: dict[int, memoryview] = {}
        self._ends: dict[int, bool] = {}
        self._received = b""
        self.ended: set[int] = set()
        self.sent = 0
        self.is_closed = False
        self._send(_PREFACE + _frame(_SETTINGS, 0, 0, b""))

    def close(self) -> None:
        self._socket.close()

    def begin(self, call: Call) -> None:
        """Send the headers; `run` sends the rest."""
        stream = 2 * len(self._windows) + 1
        self._windows[stream] = self._initial
        prefix = bytes([call.compressed]) + struct.pack(">I", call.length)
        self._left[stream] = memoryview(prefix + call.body)
        self._ends[stream] = call.length == len(call.body)
        self._send(_frame(_HEADERS, _END_HEADERS, stream, _headers(call)))

    def run(self, seconds: float) -> None:
        """Send data for this many seconds, or until every call has ended."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.is_closed and len(self.ended) < len(self._windows):
            self._receive(0.0 if self._send_some() else 0.02)

    def _send_some(self) -> bool:
        has_sent = False
        for stream, left in self._left.items():
            size = min(_FRAME, self._window, self._windows[stream], len(left))
            if stream in self.ended or size <= 0:
                continue
            flags = _END_STREAM if size == len(left) and self._ends[stream] else 0
            self._send(_frame(_DATA, flags, stream, bytes(left[:size])))
            self._left[stream] = left[size:]
            self._window -= size
            self._windows[stream] -= size
            self.sent += size
            has_sent = True
        return has_sent

    def _send(self, what: bytes) -> None:
        try:
            self._socket.sendall(what)
        except OSError:
            self.is_closed = True

    def _receive(self, seconds: float) -> None:
        if not select.select([self._socket], [], [], seconds)[0]:
            return
        try:
            received = self._socket.recv(65_536)
        except OSError:
            received = b""
        self.is_closed = self.is_closed or not received
        self._received += received
        while len(self._received) >= 9 and len(self._received) >= (whole := 9 + int.from_bytes(self._received[:3])):
            kind, flags, stream = self._received[3], self._received[4], int.from_bytes(self._received[5:9]) & 0x7FFFFFFF
            payload, self._received = self._received[9:whole], self._received[whole:]
            self._take(kind, flags, stream, payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case 8 if stream == 0:
                self._window += int.from_bytes(payload)
            case 8 if stream in self._windows:
                self._windows[stream] += int.from_bytes(payload)
            case 4 if not flags & _ACK:
                self._apply(payload)
            case 6 if not flags & _ACK:
                self._send(_frame(_PING, _ACK, 0, payload))
            case 3:
                self.ended.add(stream)
            case 1 if flags & _END_STREAM:
                self.ended.add(stream)

    def _apply(self, settings: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", settings):
            if name == 4:  # SETTINGS_INITIAL_WINDOW_SIZE
                self._windows = {stream: window + value - self._initial for stream, window in self._windows.items()}
                self._initial = value
        self._send(_frame(_SETTINGS, _ACK, 0, b""))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _headers(call: Call) -> bytes:
    fields = [(":method", "POST"), (":scheme", "http"), (":path", call.path), (":authority", "test")]
    fields += [("content-type", "application/grpc"), ("te", "trailers"), *call.metadata]
    if call.compressed:
        fields.append(("grpc-encoding", "gzip"))
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


def _text(text: str) -> bytes:
    raw = text.encode()
    assert len(raw) < 127 + 128
    return (bytes([len(raw)]) if len(raw) < 127 else bytes([127, len(raw) - 127])) + raw


def valid(path: str, size: int, metadata: Sequence[tuple[str, str]] = ()) -> Call:
    """Return a complete message that protobuf can decode: an unknown field of this size."""
    body = b"\xfa\x7f" + _varint(size - 10) + bytes(size - 10)  # field number 2047, type bytes
    return Call(path, body, len(body), metadata=metadata)


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def crowded(path: str, size: int, metadata: Sequence[tuple[str, str]] = ()) -> Call:
    """Return a complete message of empty recipients, each 2 bytes on the wire."""
    body = b"\x2a\x00" * (size // 2)
    return Call(path, body, len(body), metadata=metadata)
