"""docs/protocol.md and the code cite the same rules and invariants, and the code and tests that it names exist."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.model.rules import NAMES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/protocol.md").read_text()
SOURCE = ("domain", "projections", "server", "clients")

_ENTRY = re.compile(r"^### (Protocol rule|Invariant) (\d+): .+$", re.MULTILINE)
_CITATION = re.compile(r"\b(protocol rule|invariant) (\d+)", re.IGNORECASE)
_OTHER_FORM = re.compile(r"\b(protocol rules|invariants) \d", re.IGNORECASE)
_PLACE = re.compile(r"`([\w/]+\.py)::([\w.]+)`")
_SWITCH = re.compile(r"`([a-z_]+)`")


def entries() -> dict[tuple[str, int], str]:
    """Return the text of each rule and invariant that the document lists, by kind and number."""
    found = list(_ENTRY.finditer(TEXT))
    ends = [TEXT.find("\n#", entry.end()) for entry in found]
    return {
        (kind.lower(), int(number)): TEXT[entry.end() : end]
        for entry, end in zip(found, ends, strict=True)
        for kind, number in [entry.groups()]
    }


ENTRIES = entries()


def python_files(folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def citations(text: str) -> set[tuple[str, int]]:
    return {(kind.lower(), int(number)) for kind, number in _CITATION.findall(text)}


def cited_in(folders: Iterable[str]) -> set[tuple[str, int]]:
    return set().union(*(citations(path.read_text()) for path in python_files(folders)))


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names that a file defines, methods as Class.method; none if the file does not exist."""
    if not (ROOT / path).is_file():
        return frozenset()
    return frozenset(_defined((ROOT / path).read_text()))


def _defined(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.ClassDef():
                yield node.name
                members = [member for member in node.body if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)]
                yield from (f"{node.name}.{member.name}" for member in members)
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name


def places(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the places in code and the tests that a text names, each as a path and a name."""
    found = _PLACE.findall(text)
    return (
        [place for place in found if not place[0].startswith("tests/")],
        [place for place in found if place[0].startswith("tests/")],
    )


def test_the_document_lists_rules_and_invariants_without_gaps() -> None:
    numbers = {kind: [number for found, number in ENTRIES if found == kind] for kind in ("protocol rule", "invariant")}

    assert numbers == {"protocol rule": list(range(1, 19)), "invariant": list(range(1, 8))}


def test_every_cited_rule_and_invariant_is_listed() -> None:
    documents = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    cited = cited_in([*SOURCE, "tests", "bench", "demo"]) | citations(documents)

    assert cited - ENTRIES.keys() == set()


def test_every_listed_rule_is_cited_in_the_source() -> None:
    listed = {entry for entry in ENTRIES if entry[0] == "protocol rule"}

    assert listed - cited_in(SOURCE) == set()


def test_every_listed_invariant_is_cited_in_the_source_or_in_tests() -> None:
    listed = {entry for entry in ENTRIES if entry[0] == "invariant"}

    assert listed - cited_in([*SOURCE, "tests"]) == set()


def test_each_citation_names_one_number() -> None:
    """A citation such as "protocol rules 6 and 7" would hide the second number from a search."""
    found = [path for path in python_files([*SOURCE, "tests"]) if _OTHER_FORM.search(path.read_text())]

    assert [path for path in found if path != Path(__file__)] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry[0]} {entry[1]}")
def test_the_code_and_the_tests_of_an_entry_exist(entry: tuple[str, int]) -> None:
    code, tests = places(ENTRIES[entry])

    assert code, "the entry names no place in the code"
    assert tests, "the entry names no test"
    assert [place for place in code if place[1] not in names_in(place[0])] == []
    assert [test for test in tests if test[1] not in _tests_in(test[0])] == []


def _tests_in(path: str) -> set[str]:
    """Return the names of the tests in a file, those of classes too."""
    names = (name.rpartition(".")[2] for name in names_in(path))
    return {name for name in names if name.startswith("test_")}


def test_every_switch_of_the_model_that_is_named_exists() -> None:
    shown_by = [text.partition("- Shown by ")[2] for text in ENTRIES.values()]
    switches = {name for text in shown_by for name in _SWITCH.findall(text)}

    assert "claim_is_a_number" in switches
    assert switches - set(NAMES) == set()
