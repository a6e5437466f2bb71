"""Recipients out of a CSV: what is read, and what is refused before anything is sent."""

from pathlib import Path

import pytest

from redrive.cli.recipients_csv import PROBLEMS_SHOWN, BadCsv, RecipientsCsv
from redrive.v1.content_pb2 import Recipient

NO_NAME = "is no name of a variable: 1 to 64 letters, digits and underscores"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def read(file: Path, content: str | bytes) -> list[Recipient]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(RecipientsCsv(file))


def problems(file: Path, content: str | bytes) -> list[str]:
    with pytest.raises(BadCsv) as raised:
        read(file, content)
    return [str(problem) for problem in raised.value.problems]


def test_columns_become_id_name_and_variables(file: Path) -> None:
    assert read(file, "id,name,city\n17,Ada,London\n18,,\n") == [
        Recipient(id="17", name="Ada", variables={"city": "London"}),
        Recipient(id="18", name="", variables={"city": ""}),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "recipient_id,name\n17,Ada\n",
        "name;id\nAda;17\n",
        "\ufeffid,name\n17,Ada\n",
        "id, name \r\n17,Ada\r\n\r\n",
        '\n"id","name"\n"17","Ada"',
    ],
    ids=["recipient_id", "semicolons", "byte order mark", "windows line ends", "quoted, after a blank line"],
)
def test_common_forms_of_csv_are_read(file: Path, content: str) -> None:
    assert read(file, content) == [Recipient(id="17", name="Ada")]


def test_a_quoted_cell_may_hold_delimiters_and_line_ends(file: Path) -> None:
    assert read(file, 'id,note\n17,"a,\nb"\n')[0].variables["note"] == "a,\nb"


def test_all_columns_but_the_ids_are_variables(file: Path) -> None:
    file.write_text("name,recipient_id,city\nAda,17,London\n")

    assert RecipientsCsv(file).variables == ["name", "city"]


def test_recipients_are_counted_and_can_be_read_again(file: Path) -> None:
    file.write_text("id\n1\n2\n3\n")
    recipients = RecipientsCsv(file)

    assert len(recipients) == 3
    assert list(recipients) == list(recipients)


def test_limits_are_those_of_the_contract(file: Path) -> None:
    name, value, longest_id = "n" * 200, "v" * 1_000, "1" * 128

    assert read(file, f"id,name,{'k' * 64}\n{longest_id},{name},{value}\n")[0].name == name


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,name\n1,A\n,B\n", "line 3, column id: is empty"),
        ("name;recipient_id\nA;1 2\n", "line 2, column recipient_id: holds a space"),
        ("id\n" + "1" * 129, "line 2, column id: has 129 characters, and at most 128 are allowed"),
        ("id,name\n1," + "n" * 201, "line 2, column name: has 201 characters, and at most 200 are allowed"),
        ("id,city\n1," + "c" * 1_001, "line 2, column city: has 1,001 characters, and at most 1,000 are allowed"),
        ("id,name,city\n1,A\n", "line 2, column city: the row has 2 cells, and the header 3"),
        ("id,name\n1,A,x\n", "line 2, column number 3: the row has 3 cells, and the header 2"),
        (b"id,name\n1,Ada\n2,Andr\xe9\n", "line 3, column name: is not UTF-8"),
        ('id,note\n1,"two\nlines"\n ,x\n', "line 4, column id: holds a space"),
        (
            "name,city\nA,B\n",
            "line 1, column id: is missing: the first row names the columns, one of them id or recipient_id",
        ),
        ("", "line 1, column id: is missing: the first row names the columns, one of them id or recipient_id"),
        ("id,name,name\n1,A,B\n", "line 1, column name: stands in the header twice"),
        ("id,recipient_id\n1,2\n", "line 1, column recipient_id: is one too many: id is there already"),
        (
            "id,home town\n1,A\n",
            f"line 1, column home town: {NO_NAME}, such as home_town",
        ),
        (
            "id, Prénom (usuel) \n1,A\n",
            f"line 1, column Prénom (usuel): {NO_NAME}, such as Prenom_usuel",
        ),
        ("id,\n1,A\n", f"line 1, column number 2: {NO_NAME}"),
        ("id,город\n1,A\n", f"line 1, column город: {NO_NAME}"),
        (b"id,\xe9\n1,A\n", "line 1, column number 2: is not UTF-8"),
        ("id," + ",".join(f"v{n}" for n in range(51)), "line 1, column v50: 51 variables, and at most 50 are allowed"),
        ("id\n", "line 2, column id: no recipient follows the header"),
        ('id,"na"me\n1,a\n', "line 1: cannot be read: ',' expected after '\"'"),
        ('id,note\n1,"a"b\n', "line 2: cannot be read: ',' expected after '\"'"),
        ('id,note\n1,a\n2,"never closed\n', "line 3: cannot be read: unexpected end of data"),
    ],
)
def test_a_bad_file_names_line_and_column(file: Path, content: str | bytes, problem: str) -> None:
    assert problems(file, content)[0] == problem


def test_several_bad_rows_are_named_at_once_but_not_without_end(file: Path) -> None:
    found = problems(file, "id\n" + "1 2\n" * 500)

    assert found[:2] == ["line 2, column id: holds a space", "line 3, column id: holds a space"]
    assert len(found) == PROBLEMS_SHOWN
