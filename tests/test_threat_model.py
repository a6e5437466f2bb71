"""docs/security.md: each promise names existing tests, and all unencrypted columns and fields are listed."""

import ast
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import inspect

from domain import (
    batch_events,
    message_events,
    page_events,
    receipts,
    retention_events,
)
from domain.event import Event
from server.eventstore.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/security.md").read_text()
EVENTS = (message_events, batch_events, retention_events, message_events, page_events, retention_events, receipts)


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the functions in a file; empty if the file does not exist."""
    if not (ROOT / path).is_file():
        return frozenset()
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(
        node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, functions)
    )


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return name.startswith("test_") and name in names_in(path)


def test_every_promise_names_existing_tests() -> None:
    promises = rows("Promises")
    named = [test for row in promises for test in re.findall(r"`([^`]+)`", row[3])]

    assert len(promises) >= 30
    assert [row for row in promises if len(row) != 4 or not row[3].startswith("`tests/")] == []
    assert [test for test in named if not exists(test)] == []


def test_every_boundary_has_a_promise() -> None:
    boundaries = re.findall(r"^(\d)\. ", section("Trust boundaries"), flags=re.MULTILINE)

    assert {row[0] for row in rows("Promises")} == set(boundaries)


def test_every_unencrypted_text_is_listed(tmp_path: Path) -> None:
    """Numbers are not listed: they contain no text that a person wrote."""
    listed = set(re.findall(r"`(\w+)`", section("Data stored in clear text")))
    stored = set(_columns(tmp_path / "redrive.db")) | set(_fields())

    assert stored - listed == set()
    assert listed - stored == set()


def _columns(database: Path) -> Iterator[str]:
    with closing(SqliteStore(database)):
        pass
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
            yield from (name for name, kind in columns if kind.upper() in ("TEXT", "BYTEA", "BLOB", ""))


def _fields() -> Iterator[str]:
    for module in EVENTS:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Event):
                yield from _texts_in(inspect.type_info(kind), "", frozenset())


def _texts_in(kind: Any, name: str, inside: frozenset[type]) -> Iterator[str]:
    """Yield the names of all fields that hold texts or bytes, at any depth."""
    if isinstance(kind, inspect.StrType | inspect.BytesType):
        yield name
    elif isinstance(kind, inspect.StructType):
        for field in () if kind.cls in inside else kind.fields:
            yield from _texts_in(field.type, field.name, inside | {kind.cls})
    else:
        for part in _parts(kind):
            yield from _texts_in(part, name, inside)


def _parts(kind: Any) -> Iterable[Any]:
    match kind:
        case inspect.UnionType():
            return kind.types
        case inspect.DictType():
            return kind.key_type, kind.value_type
        case inspect.TupleType():
            return kind.item_types
        case _:
            return (kind.item_type,) if hasattr(kind, "item_type") else ()
