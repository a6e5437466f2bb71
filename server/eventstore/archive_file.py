"""Archive files: compressed lines of JSON, one per event in the log's order, each file with a manifest.

A file is written under a temporary name, synced to the disk and then renamed, so that it is complete or missing.
"""

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import IO, NamedTuple

import msgspec

from domain.event import RecordedEvent
from server.eventstore.codec import decode
from server.eventstore.stream import StoredRow

FORMAT = 1
ENDING = ".jsonl.gz"
MANIFEST_ENDING = ".json"
CHUNK = 1 << 20  # bytes read at once for the digest
_UNFINISHED = ".unfinished"


class ArchiveError(Exception):
    """An archive file cannot be used; the text names the file and says what to do."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the .json file next to an archive file: for operators, and for tools that move the files."""

    format: int
    made_by: str
    file: str
    sha256: str
    events: int
    first_position: int
    last_position: int
    messages: tuple[str, ...]


class _Line(msgspec.Struct, frozen=True, array_like=True):
    position: int
    stream: str
    version: int
    topic: str
    state: str  # the stored JSON, unchanged


def write(folder: Path, messages: Sequence[str], events: Iterable[StoredRow]) -> Manifest:
    """Write a file of events, which are given in the log's order, and its manifest; raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder / f"{token_hex(8)}{_UNFINISHED}"
    try:
        span = _write_lines(unfinished, events)
        digest = digest_of(unfinished)
        name = f"redrive-{span.first:012}-{span.last:012}-{digest[:8]}{ENDING}"
        manifest = Manifest(
            format=FORMAT,
            made_by=f"redrive-server {version('redrive-server')}",
            file=name,
            sha256=digest,
            events=span.events,
            first_position=span.first,
            last_position=span.last,
            messages=tuple(messages),
        )
        _write_manifest(folder, manifest)
        unfinished.rename(folder / name)
        _sync(folder)
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


class _Span(NamedTuple):
    events: int
    first: int
    last: int


def _write_lines(path: Path, events: Iterable[StoredRow]) -> _Span:
    count = first = last = 0
    encode = msgspec.json.Encoder().encode
    with _opened_to_write(path) as file:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
            for one in events:
                packed.write(encode(_Line(one.position, one.stream, one.version, one.topic, one.state.decode())))
                packed.write(b"\n")
                count, first, last = count + 1, first or one.position, one.position
        file.flush()
        os.fsync(file.fileno())
    return _Span(count, first, last)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    path = folder / f"{manifest.file.removesuffix(ENDING)}{MANIFEST_ENDING}"
    with _opened_to_write(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _opened_to_write(path: Path) -> IO[bytes]:
    """Open a file that only its owner can read: it contains names of recipients."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """Return the file's SHA-256; raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def check(path: Path, digest: str) -> None:
    """Raise ArchiveError unless the file exists and has this SHA-256."""
    try:
        found = digest_of(path)
    except FileNotFoundError:
        raise ArchiveError(f"{path} is missing: put it back, or name the folder that has it") from None
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error
    if found != digest:
        raise ArchiveError(
            f"{path} is damaged: its SHA-256 is not that of the written file; put an undamaged copy in its place"
        )


def read(path: Path) -> Iterator[RecordedEvent]:
    """Yield the events of a checked file, in the log's order."""
    decoder = msgspec.json.Decoder(_Line)
    with gzip.open(path, "rb") as lines:
        for line in lines:
            one = decoder.decode(line)
            stored = StoredRow(one.position, one.stream, one.version, one.topic, one.state.encode())
            yield RecordedEvent(one.position, one.stream, one.version, decode(stored.event))
