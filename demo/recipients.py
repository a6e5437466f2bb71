"""The people of recipients.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("recipients.csv")


class Person(NamedTuple):
    """A row: the page-scoped id, and what fills in the text."""

    id: str
    name: str
    city: str


def read_people() -> Sequence[Person]:
    """Everyone, in the order of the file."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return [Person(**row) for row in csv.DictReader(file)]
