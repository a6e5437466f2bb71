"""docs/glossary.md: each term is defined once, and the code uses its names."""

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs/glossary.md"
SOURCES = ("protos/*.proto", "domain", "projections", "server", "clients/redrive", "pyproject.toml")

_ROW = re.compile(r"^\| \*\*(?P<terms>[^*]+)\*\* \| (?P<meaning>.+) \| (?P<names>`[^|]*`) \|$", re.MULTILINE)
_NAME = re.compile(r"`([^`]+)`")


class Entry(NamedTuple):
    """A row of the glossary."""

    terms: tuple[str, ...]
    meaning: str
    names: tuple[str, ...]


ENTRIES = [
    Entry(tuple(row["terms"].split(", ")), row["meaning"], tuple(_NAME.findall(row["names"])))
    for row in _ROW.finditer(GLOSSARY.read_text())
]


@cache
def _words_in_sources() -> frozenset[str]:
    """Return the words of every source and proto that git tracks, without generated stubs."""
    listed = subprocess.run(["git", "ls-files", "--", *SOURCES], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / line for line in listed.stdout.splitlines() if line.endswith((".proto", ".py", ".toml"))]
    texts = [file.read_text() for file in files if "_pb2" not in file.name and file.is_file()]
    return frozenset(word for text in texts for word in re.findall(r"[\w-]+", text))


def test_every_row_of_the_glossary_is_read() -> None:
    lines = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| **")]

    assert len(ENTRIES) == len(lines) > 80


def test_every_term_is_defined_once() -> None:
    terms = Counter(term for entry in ENTRIES for term in entry.terms)

    assert [term for term, times in terms.items() if times > 1] == []


def test_a_meaning_has_at_most_two_sentences() -> None:
    sentences = {entry.terms: len(re.findall(r"[.?](?= |$)", entry.meaning)) for entry in ENTRIES}

    assert [terms for terms, number in sentences.items() if number not in (1, 2)] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.terms[0])
def test_the_code_uses_the_names_of_every_term(entry: Entry) -> None:
    assert [name for name in entry.names if name not in _words_in_sources()] == []
