"""Recipients of the demo, read from recipients.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("recipients.csv")


class Person(NamedTuple):
    """A recipient: its page-scoped id, and the variables of the text."""

    id: str
    name: str
    city: str


def read_people() -> Sequence[Person]:
    """Return all recipients in the order of the file."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return [Person(**row) for row in csv.DictReader(file)]
