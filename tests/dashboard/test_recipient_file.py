"""An uploaded file of recipients, and checks of a text against it."""

from pathlib import Path

import pytest

from redrive.dashboard.state.composition import text_problems
from redrive.dashboard.state.recipient_file import LISTED, PREVIEW_RECIPIENTS, RecipientFile
from redrive.recipients_csv import BadCsv


def _file(folder: Path, text: str) -> RecipientFile:
    path = folder / "people.csv"
    path.write_text(text, encoding="utf-8")
    return RecipientFile(path)


def test_duplicates_are_listed_by_line_and_counted_once(tmp_path: Path) -> None:
    file = _file(tmp_path, "id,name\n1,Ada\n2,Bob\n1,Ada again\n")

    assert file.duplicates.first == [(4, "1 is already in line 2")]
    assert len(file) == 2
    assert [person.name for person in file.first] == ["Ada", "Bob"]


def test_too_long_texts_are_listed_by_line(tmp_path: Path) -> None:
    file = _file(tmp_path, f"id,city\n1,{'x' * 900}\n2,Rome\n")
    check = file.check("{{city}}{{ city }}" + "y" * 300)

    assert check.too_long.first == [(2, "the text has 2,100 characters; at most 2,000 are allowed")]
    assert list(text_problems(check)) == ["The text is longer than 2,000 characters for 1 recipient."]
    assert check.longest is not None
    assert check.longest.id == "1"
    assert not list(text_problems(file.check("{{city}}")))


def test_a_variable_without_a_column_or_with_an_empty_cell_is_missing(tmp_path: Path) -> None:
    file = _file(tmp_path, "id,name,city\n1,Ada,\u200b\n2,,Rome\n")

    assert file.check("{{day}} in {{city}}").no_column == ["day"]
    check = file.check("{{name}} in {{city}}")
    assert check.lacking.first == [(2, "city is empty"), (3, "name is empty")]
    assert list(text_problems(check)) == [
        "2 cells are empty without a default: fill them, or add a default, as in {{name|friend}}."
    ]


def test_a_default_takes_the_place_of_a_column_and_of_empty_cells(tmp_path: Path) -> None:
    file = _file(tmp_path, "id,name\n1,Ada\n2,\n")
    check = file.check("{{name|friend}} on {{day|Monday}}")

    assert check.defaults.first == [(2, "day is empty"), (3, "name is empty"), (3, "day is empty")]
    assert not list(text_problems(check))
    assert check.longest is not None
    assert check.longest.id == "2"


def test_blank_filled_text_is_a_problem(tmp_path: Path) -> None:
    check = _file(tmp_path, "id,name\n1,Ada\n2, \n").check(" {{name|}}\u200b")

    assert check.blank.first == [(3, "the text is empty")]
    assert list(text_problems(check)) == ["The text is blank for 1 recipient."]


def test_text_without_variables_is_too_long_for_all_or_none(tmp_path: Path) -> None:
    file = _file(tmp_path, "id\n1\n2\n")

    assert not list(text_problems(file.check("x" * 2_000)))
    problems = list(text_problems(file.check("x" * 2_001)))
    assert problems == ["The text is longer than 2,000 characters for 2 recipients."]


def test_only_the_first_findings_and_the_first_recipients_are_kept(tmp_path: Path) -> None:
    ids = range(PREVIEW_RECIPIENTS + 5)
    file = _file(tmp_path, "id\n" + "".join(f"{number}\n" for number in [*ids, *ids]))

    assert (file.duplicates.count, len(file.duplicates.first)) == (PREVIEW_RECIPIENTS + 5, LISTED)
    assert (len(file), len(file.first)) == (PREVIEW_RECIPIENTS + 5, PREVIEW_RECIPIENTS)


def test_file_is_deleted_with_its_object(tmp_path: Path) -> None:
    file = _file(tmp_path, "id\n1\n")
    assert (tmp_path / "people.csv").exists()
    del file
    assert not (tmp_path / "people.csv").exists()


def test_file_with_problems_is_refused_and_deleted(tmp_path: Path) -> None:
    with pytest.raises(BadCsv) as refused:
        _file(tmp_path, "id\n1 2\n")
    assert [problem.line for problem in refused.value.problems] == [2]
