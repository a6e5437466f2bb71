"""The forms of a CSV file: encodings, delimiters, sizes, streams."""

import codecs
import csv
import tempfile
import time
from contextlib import suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.recipients_csv import BadCsv, RecipientsCsv
from redrive.v1.content_pb2 import Recipient

NO_HEADER = "holds a value, but the header has no name for this column"
NO_NAME = "is not a variable name: use 1 to 64 letters, digits and underscores"
EXPECTED = "it must name id, optionally name, and at most 50 variables"
NO_MARK = "is UTF-16 without a byte order mark, or not a text file: save it as CSV UTF-8"


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


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_delimiters_and_line_ends_are_recognised(file: Path, delimiter: str, end: str) -> None:
    rows = ["name|id|a,b;c", 'Ada| "17" |"x"" , ;"', "Bo|18|"]
    text = end.join(rows).replace("a,b;c", "city").replace("|", delimiter) + end

    assert read(file, text) == [
        Recipient(id="17", name="Ada", variables={"city": 'x" , ;'}),
        Recipient(id="18", name="Bo"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_every_line_end_counts_as_one_line(file: Path, end: str) -> None:
    text = end.join(["sep=;", "id;name", '17;"A', 'da"', "1 8;Bo", ""])

    assert problems(file, text) == ["line 5, column id: holds U+0020 SPACE"]


def test_delimiter_in_a_quoted_column_name_is_ignored(file: Path) -> None:
    assert problems(file, 'id;"a,b,c,d"\n1;x\n') == [f"line 1, column a,b,c,d: {NO_NAME}, such as a_b_c_d"]


def test_delimiter_line_of_excel_is_used(file: Path) -> None:
    assert read(file, "sep=;\r\nid;name\r\n17;Ada\r\n") == [Recipient(id="17", name="Ada")]
    assert problems(file, "sep=;\nid;name\n1 7;Ada\n") == ["line 3, column id: holds U+0020 SPACE"]
    assert "is missing" in problems(file, "sep=;")[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_by_its_byte_order_mark(file: Path, encoding: str) -> None:
    assert read(file, "id,name\n17,Nguy\u1ec5n\n".encode(encoding)) == [Recipient(id="17", name="Nguy\u1ec5n")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "id\n1\n".encode("utf-16-le"),
            f"line 1: {NO_MARK}",
        ),
        (
            "id\n1\n".encode("utf-16-be"),
            f"line 1: {NO_MARK}",
        ),
        (
            b"PK\x03\x04\x14\x00\x06\x00",
            "line 1: is an Excel workbook or another zip archive, despite its name: save the sheet as CSV UTF-8",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "line 1: is an Excel workbook, despite its name: save the sheet as CSV UTF-8",
        ),
        (b"\x1f\x8b\x08\x00", "line 1: is a compressed file: unpack it first"),
        (b"%PDF-1.7\n", "line 1: is a PDF, not a CSV file"),
        (b"\x7fELF\x02\x01\x01\x00", "line 1: is not a text file: save it as CSV UTF-8"),
        (
            codecs.BOM_UTF16_LE + "id,name\n1,".encode("utf-16-le") + b"\x00\xd8,\x00\n\x00",
            "line 2, column name: is not valid in the file's encoding: save the file as CSV UTF-8",
        ),
    ],
)
def test_files_that_are_not_unicode_text_are_refused(file: Path, content: bytes, problem: str) -> None:
    assert problems(file, content) == [problem]


HEADER_OF_80_000 = ",".join(["id", *(f"column_{number}" for number in range(80_000))])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (HEADER_OF_80_000 + "\n1\n", f"line 1: the header has more than 200,000 characters; {EXPECTED}"),
        ("id" + ",x" * 80_000 + "\n1\n", "line 1, column x: 80,000 variables; at most 50 are allowed"),
        ("id" + "," * 80_000 + "\n1\n", "line 1: the header has 80,001 columns; at most 16,384 are allowed"),
        ("x" * 100_000 + ",id\n", f"line 1, column {'x' * 64}…: {NO_NAME}, such as {'x' * 64}"),
        ("id,name\n1," + "n" * 50_000_000 + "\n1 2,x\n", "line 2: has more than 200,000 characters"),
        ('id,name\n1,"' + "n\n" * 5_000_000, "line 2: has more than 200,000 characters: is a quotation mark missing?"),
        ("id,name\n1," + "n" * 100_000, "line 2, column name: has 100,000 characters; at most 200 are allowed"),
        (
            'id,name\n1,"' + '""\n' * 60_000 + '"',
            "line 2, column name: has 119,999 characters; at most 200 are allowed",
        ),
    ],
    ids=[
        "long header",
        "many names",
        "many blanks",
        "long name",
        "long line",
        "open quote",
        "long cell",
        "many quotes",
    ],
)
def test_excessive_sizes_are_refused_quickly(file: Path, content: str, problem: str) -> None:
    file.write_text(content)
    start = time.process_time()

    with pytest.raises(BadCsv) as raised:
        RecipientsCsv(file)

    assert time.process_time() - start < 1
    assert str(raised.value.problems[0]) == problem


def test_the_rows_after_a_line_that_is_too_long_are_checked(file: Path) -> None:
    found = problems(file, "id,name\n1," + "n" * 1_000_000 + "\n1 2,x\n")

    assert found[1:] == ["line 3, column id: holds U+0020 SPACE"]


def test_a_stream_is_read_like_a_file(file: Path) -> None:
    recipients = RecipientsCsv(BytesIO(b"id\n1\n2\n"), name="standard input")

    assert [recipient.id for recipient in recipients] == [recipient.id for recipient in recipients] == ["1", "2"]
    with pytest.raises(BadCsv, match=r"^standard input: line 2, column id: holds U\+0020 SPACE$"):
        RecipientsCsv(BytesIO(b"id\n1 2\n"), name="standard input")


def test_copy_of_a_stream_is_deleted_with_its_reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipients = RecipientsCsv(BytesIO(b"id\n1\n"))
    assert len(list(tmp_path.iterdir())) == 1

    del recipients
    assert not list(tmp_path.iterdir())


def test_a_file_that_has_changed_since_it_was_checked_is_not_read(file: Path) -> None:
    file.write_text("id\n1\n")
    recipients = RecipientsCsv(file)
    file.write_text("id\n1\n1.2E+15\n")

    with pytest.raises(BadCsv, match="has changed since it was checked"):
        list(recipients)


def test_a_file_that_changes_while_it_is_read_is_refused_at_its_end(file: Path) -> None:
    file.write_text("id\n1\n2\n")
    recipients = iter(RecipientsCsv(file))
    assert next(recipients).id == "1"
    file.write_text("id\n1\n3\n4\n")

    with pytest.raises(BadCsv, match="has changed since it was checked"):
        list(recipients)


values = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=20).map(str.strip)
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufffd", exclude_categories=["Cc"]) | st.sampled_from("\t\r\n"),
    max_size=20,
).map(str.strip)
ids = st.from_regex(r"[0-9]{1,30}|[A-Za-z][A-Za-z0-9_:-]{0,30}", fullmatch=True)
legal = st.builds(
    lambda recipient_id, name, city, note: Recipient(
        id=recipient_id, name=name, variables={k: v for k, v in (("city", city), ("note", note)) if v}
    ),
    ids,
    names,
    values,
    values,
)


@given(
    st.lists(legal, min_size=1, max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n", "\r\r\n"]),
    st.permutations(["id", "name", "city", "note"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_output_of_the_csv_module_is_read_back(
    people: list[Recipient], delimiter: str, quoting: Any, end: str, columns: list[str], encoding: str
) -> None:
    out = StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(columns)
    for person in people:
        cells = {"id": person.id, "name": person.name, **person.variables}
        writer.writerow([cells.get(column, "") for column in columns])

    assert list(RecipientsCsv(BytesIO(out.getvalue().encode(encoding)))) == people


@given(st.binary(max_size=200), st.sampled_from([b"", b"id,name\n", codecs.BOM_UTF16_LE, b'id\n"']))
def test_no_file_makes_the_reader_fail(content: bytes, before: bytes) -> None:
    with suppress(BadCsv):
        list(RecipientsCsv(BytesIO(before + content)))
