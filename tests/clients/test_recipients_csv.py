"""Reading of recipients from a CSV file, and the problems that refuse a file."""

from pathlib import Path

import pytest

from redrive.recipients_csv import PROBLEMS_SHOWN, BadCsv, RecipientsCsv, RepeatedId
from redrive.v1.content_pb2 import Recipient

MISSING = "is missing: the first row names the columns, one of them id or recipient_id"
EXPECTED = "it must name id, optionally name, and at most 50 variables"
NO_HEADER = "holds a value, but the header has no name for this column"
NO_NAME = "is not a variable name: use 1 to 64 letters, digits and underscores"


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
        Recipient(id="18"),
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


def test_limits_equal_the_contract(file: Path) -> None:
    name, value, longest_id = "n" * 200, "v" * 1_000, "1" * 128

    assert read(file, f"id,name,{'k' * 64}\n{longest_id},{name},{value}\n")[0].name == name


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,name\n1,A\n,B\n", "line 3, column id: is empty"),
        ("name;recipient_id\nA;1 2\n", "line 2, column recipient_id: holds U+0020 SPACE"),
        ("id\n" + "1" * 129, "line 2, column id: has 129 characters; at most 128 are allowed"),
        ("id,name\n1," + "n" * 201, "line 2, column name: has 201 characters; at most 200 are allowed"),
        ("id,city\n1," + "c" * 1_001, "line 2, column city: has 1,001 characters; at most 1,000 are allowed"),
        ("name,id\nAda\n", "line 2, column id: is empty"),
        ("id,name\n1,A,x\n", f"line 2, column number 3: {NO_HEADER}"),
        ("id,name,,\n1,A,,\n2,B,,x\n", f"line 3, column number 4: {NO_HEADER}"),
        ("id,,name\n1,,A\n2,x,B\n", f"line 3, column number 2: {NO_HEADER}"),
        (b"id,name\n1,Ada\n2,Andr\xe9\n", "line 3, column name: is not UTF-8 (byte 0xE9): save the file as CSV UTF-8"),
        ('id,note\n1,"two\nlines"\n ,x\n', "line 4, column id: is empty"),
        (
            "name,city\nA,B\n",
            f"line 1, column id: {MISSING}",
        ),
        ("", f"line 1, column id: {MISSING}"),
        (
            "ID,Name\n1,A\n",
            f"line 1, column id: {MISSING} (in lower case)",
        ),
        ("id,name,name\n1,A,B\n", "line 1, column name: occurs twice in the header"),
        ("id,recipient_id\n1,2\n", "line 1, column recipient_id: is a second id column, besides id"),
        (
            "id,home town\n1,A\n",
            f"line 1, column home town: {NO_NAME}, such as home_town",
        ),
        (
            "id, Prénom (usuel) \n1,A\n",
            f"line 1, column Prénom (usuel): {NO_NAME}, such as Prenom_usuel",
        ),
        ("id,город\n1,A\n", f"line 1, column город: {NO_NAME}"),
        ("id,name\u200b\n1,A\n", "line 1, column number 2: holds U+200B ZERO WIDTH SPACE"),
        ("id,home\u00a0town\n1,A\n", "line 1, column number 2: holds U+00A0 NO-BREAK SPACE"),
        (b"id,\xe9\n1,A\n", "line 1, column number 2: is not UTF-8 (byte 0xE9): save the file as CSV UTF-8"),
        ("id," + ",".join(f"v{n}" for n in range(51)), "line 1, column v50: 51 variables; at most 50 are allowed"),
        ("id\n", "line 2, column id: no recipient follows the header"),
        (
            'id,"na"me\n1,a\n',
            f"line 1: the header has characters after a closing quotation mark; {EXPECTED}",
        ),
        ('id,note\n1,"a"b\n', "line 2: has characters after a closing quotation mark"),
        ('id,note\n1,a\n2,"never closed\n', "line 3: has a quotation mark that is never closed"),
    ],
)
def test_a_bad_file_names_line_and_column(file: Path, content: str | bytes, problem: str) -> None:
    assert problems(file, content)[0] == problem


def test_problems_are_listed_up_to_a_limit(file: Path) -> None:
    file.write_text("id\n" + "1 2\n" * 500)

    with pytest.raises(BadCsv) as raised:
        RecipientsCsv(file)

    lines = str(raised.value).splitlines()
    assert len(raised.value.problems) == PROBLEMS_SHOWN == 20
    assert lines[1] == f"{file}: line 3, column id: holds U+0020 SPACE"
    assert lines[-1] == "and 480 more"


@pytest.mark.parametrize(
    "row",
    [
        '2002, "Bo B"',
        '2002 ,"Bo B" ',
        '"2002" , "Bo B" , ',
        '2002,\u00a0"Bo B"\u00a0',
        '2002,\t"Bo B"',
        "2002,\u2003Bo B\t",
    ],
)
def test_spaces_around_cells_are_removed(file: Path, row: str) -> None:
    assert read(file, f"id, name\n{row}\n") == [Recipient(id="2002", name="Bo B")]


def test_blank_rows_and_columns_are_left_out(file: Path) -> None:
    text = 'id,name,city,,\n17,Ada,London,,\n,,\n18,Bo\n" ",,,,,,,,\n\n,\n,,,,\n'

    assert read(file, text) == [
        Recipient(id="17", name="Ada", variables={"city": "London"}),
        Recipient(id="18", name="Bo"),
    ]


def test_nul_character_is_reported_by_line_and_column(file: Path) -> None:
    rows = "".join(f'{number},"two\nlines"\n' for number in range(7_159))

    assert problems(file, f"id,name\n{rows}9000,A\0\n") == ["line 14320, column name: holds U+0000 NULL"]


def test_ids_that_a_spreadsheet_has_changed_are_refused_by_line(file: Path) -> None:
    text = "id\n1.23457E+15\n1.23457E+15\n1234567890123456\u200b\n1234567890123456\u00a0\n'=\"1234567890123456\"'\n"

    assert problems(file, text.replace("'=", '"=').replace("\"'", '"""').replace('="1', '=""1')) == [
        "line 2, column id: is a number that a spreadsheet has rounded",
        "line 3, column id: is a number that a spreadsheet has rounded",
        "line 4, column id: holds U+200B ZERO WIDTH SPACE",
        "line 5, column id: holds U+00A0 NO-BREAK SPACE",
        "line 6, column id: begins with U+003D EQUALS SIGN, like a formula or an error of a spreadsheet",
    ]


def test_long_ids_that_end_in_zeros_get_a_note(file: Path) -> None:
    file.write_text("id\n" + "".join(f"{number}00\n" for number in range(10**14, 10**14 + 5)))
    assert "5 of 5 ids" in RecipientsCsv(file).notes[0]

    file.write_text("id\n" + "".join(f"{number}\n" for number in range(10**15, 10**15 + 50)))
    assert RecipientsCsv(file).notes == []


def test_repeated_ids_are_counted_and_the_first_are_named(file: Path) -> None:
    file.write_text("id\n1\n2\n1\n\n1\n2\n")

    assert RecipientsCsv(file).repeated_ids(2) == (3, [RepeatedId(4, "1", 2), RepeatedId(6, "1", 2)])
    assert RecipientsCsv(file).lines_of({0, 3}) == {0: 2, 3: 6}


@pytest.mark.parametrize("recipient_id", ["-abc", "+ann", "@bob"])
def test_formula_guard_of_an_id_is_removed(file: Path, recipient_id: str) -> None:
    assert read(file, f'id,name\n"\'{recipient_id}",Ann\n') == [Recipient(id=recipient_id, name="Ann")]


def test_apostrophe_in_a_text_is_kept(file: Path) -> None:
    [recipient] = read(file, "id,name,note\n17,'-Ann-',\"so; '-5 %'\"\n")
    assert (recipient.name, recipient.variables["note"]) == ("'-Ann-'", "so; '-5 %'")


def test_formula_guards_of_an_export_are_removed(file: Path) -> None:
    header = "message_id,recipient_id,recipient_name,status,attempt_number,error_message"
    [recipient] = read(file, f"{header}\nm-1,'-a17,'=Ann,FAILED,1,\"a;'=1\"\n")
    assert recipient.id == "-a17"
    assert recipient.variables == {
        "message_id": "m-1",
        "recipient_name": "=Ann",
        "status": "FAILED",
        "attempt_number": "1",
        "error_message": "a;=1",
    }


@pytest.mark.parametrize("character", ["\x08", "\x0b", "\x1b", "\x7f", "\x9b"])
def test_control_character_in_a_name_is_reported(file: Path, character: str) -> None:
    [problem] = problems(file, f'id,name\n17,"A{character}da"\n')
    assert problem.startswith(f"line 2, column name: holds U+{ord(character):04X}")
