"""Ids that a spreadsheet has changed, or that hold invisible characters, are refused with a reason."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.recipients_csv.recipient_ids import id_problem

ROUNDED = [
    "1.23457E+15",
    "1,23457E+15",
    "1.23457e15",
    "1.23457E15",
    "1E+15",
    "1E15",
    "1.E+15",
    ".12E+16",
    "123.457E+12",
    "1.23457E+015",
    "-1.2E+15",
    "1.2E\u221215",
    "1.2\u00d710^15",
    "1.2x10^15",
    "1.2*10^15",
    "1.2\u00b710^15",
    "1.2\u00d710\u00b9\u2075",
    "1.23457D+15",
    "12E+14",
    '"1.2E+15"',
    "\uff11\uff0e\uff12\uff13\uff25\uff0b\uff11\uff15",
    "\u0661\u066b\u0662\u0663E+\u0661\u0665",
    "\u0661\u066b\u0662\u0663\u0623\u0633\u0661\u0665",
    "1,23\u0415+15",
    "1'23E+15",
    "(1.2E+15)",
    "\u066111E+1\u0665",
    "1.2E+15\u200b",
    "1.234.567E+10",
    "1.234.567,8E+10",
    "1'234'567E+10",
    "1\u00b723457E+15",
    "1\u221923457E+15",
    "1\u0415+15",
    "999e-999",
    "4x10^-5",
    "4\u00d710^5",
]

FORMATTED = [
    "1234.0",
    "1234.00",
    "1.234.567.890",
    "+1234",
    "-1234",
    "\u22121234",
    "1234-",
    "\u20131234",
    "(1234)",
    "$1234",
    "\u20ac1234",
    "1234%",
    "1234*",
    "12/34",
    "1\u066c234",
    "12\u00b734",
    "@1234",
    "~1234",
    "1234:",
    "_1234",
]

NAMED = [
    ("1234567890123456\u200b", "U+200B ZERO WIDTH SPACE"),
    ("12\u200c34", "U+200C ZERO WIDTH NON-JOINER"),
    ("\u200d1234", "U+200D ZERO WIDTH JOINER"),
    ("\ufeff1234", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
    ("12\u00ad34", "U+00AD SOFT HYPHEN"),
    ("\u202a1234\u202c", "U+202A LEFT-TO-RIGHT EMBEDDING"),
    ("1234\u2066", "U+2066 LEFT-TO-RIGHT ISOLATE"),
    ("1234\u200e", "U+200E LEFT-TO-RIGHT MARK"),
    ("12 34", "U+0020 SPACE"),
    ("1\u00a0234", "U+00A0 NO-BREAK SPACE"),
    ("1\u202f234", "U+202F NARROW NO-BREAK SPACE"),
    ("1\u2009234", "U+2009 THIN SPACE"),
    ("12\u2028", "U+2028 LINE SEPARATOR"),
    ("12\u2029", "U+2029 PARAGRAPH SEPARATOR"),
    ("12\u0301", "U+0301 COMBINING ACUTE ACCENT"),
    ("ann\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
    ("12\u3164", "U+3164 HANGUL FILLER"),
    ("12\0", "U+0000 NULL"),
    ("12\t", "U+0009 CHARACTER TABULATION"),
    ("12\n", "U+000A LINE FEED"),
    ("12\x01", "U+0001 (without a name)"),
    ("12\ue000", "U+E000 (without a name)"),
    ("ann\ufffd", "U+FFFD REPLACEMENT CHARACTER"),
    ("\uff11234", "U+FF11 FULLWIDTH DIGIT ONE"),
    ("\u0663\u0664", "U+0663 ARABIC-INDIC DIGIT THREE"),
    ("12\u00b2", "U+00B2 SUPERSCRIPT TWO"),
    ("1,234,567", "U+002C COMMA"),
    ("1234,00", "U+002C COMMA"),
    ("1'234'567", "U+0027 APOSTROPHE"),
    ("1\u2019234\u2019567", "U+2019 RIGHT SINGLE QUOTATION MARK"),
    ("1\u02bc234", "U+02BC MODIFIER LETTER APOSTROPHE"),
    ("'1234", "U+0027 APOSTROPHE"),
    ('12"34', "U+0022 QUOTATION MARK"),
    ("\u201c1234\u201d", "U+201C LEFT DOUBLE QUOTATION MARK"),
    ("\u201e1234\u201c", "U+201E DOUBLE LOW-9 QUOTATION MARK"),
    ("\u00ab1234\u00bb", "U+00AB LEFT-POINTING DOUBLE ANGLE QUOTATION MARK"),
    ("<1234>", "U+003C LESS-THAN SIGN"),
    ("`1234`", "U+0060 GRAVE ACCENT"),
    ("\u00b412", "U+00B4 ACUTE ACCENT"),
    ("\u203212", "U+2032 PRIME"),
    ("ann;bob", "U+003B SEMICOLON"),
    ("17|Ada", "U+007C VERTICAL LINE"),
    ("{{id}}", "U+007B LEFT CURLY BRACKET"),
    ("17}", "U+007D RIGHT CURLY BRACKET"),
]

GOOD = [
    "1234567890123456",
    "0",
    "17",
    "ann",
    "trip-1",
    "a_b",
    "user:12",
    "1234567_8901234",
    "12-34",
    "12:34",
    "u1",
    "e5",
    "1e2-3",
    "42x",
    "abc1.0",
    "ann.b",
    "AQFz+/a==",
    "x10",
    "550e8400-e29b-41d4-a716-446655440000",
    "1234e567",
    "12d-5",
    "5d-1",
    "1234e-5678",
    "12e-5678",
    "1234e-5",
    "4x10-5",
    "1.2.3e5",
    "NaN",
    "NULL",
    "Err:5",
    "Err:502:1",
    "user:502",
    "Nguy\u1ec5n-\u6f22\u5b57.\U0001f600",
]


@pytest.mark.parametrize("bad_id", ROUNDED)
def test_rounded_numbers_of_all_locales_are_refused(bad_id: str) -> None:
    assert id_problem(bad_id) == "is a number that a spreadsheet has rounded"


@pytest.mark.parametrize("bad_id", FORMATTED)
def test_a_formatted_number_is_refused(bad_id: str) -> None:
    assert id_problem(bad_id).startswith("is a formatted number: ")


def test_thousands_separated_by_underscores_are_refused() -> None:
    assert id_problem("1_234_567_890_123_456") == "is a number with thousands separators"


@pytest.mark.parametrize("bad_id", ['="1234567890123456"', "=1234", "=\u201c1234\u201d", "\uff1d1234", "#N/A", "#####"])
def test_a_formula_and_an_error_of_a_spreadsheet_are_refused(bad_id: str) -> None:
    assert id_problem(bad_id).endswith("like a formula or an error of a spreadsheet")


@pytest.mark.parametrize("bad_id", ["Err:502", "Err:522"])
def test_an_error_of_libreoffice_is_refused(bad_id: str) -> None:
    assert id_problem(bad_id) == "is an error of a spreadsheet"


@pytest.mark.parametrize(("bad_id", "name"), NAMED, ids=[name for _, name in NAMED])
def test_forbidden_character_is_named(bad_id: str, name: str) -> None:
    assert id_problem(bad_id) == f"holds {name}"


def test_an_id_needs_a_letter_or_a_digit() -> None:
    assert id_problem("-") == id_problem("\U0001f600") == "holds neither a letter nor a digit"


@pytest.mark.parametrize("fine", GOOD)
def test_other_ids_are_valid(fine: str) -> None:
    assert not id_problem(fine)


@given(st.integers(0, 10**20), st.integers(0, 19), st.characters(exclude_characters="0123456789_-:"))
def test_numeric_id_with_another_character_is_refused(number: int, place: int, character: str) -> None:
    bad_id = str(number)[:place] + character + str(number)[place:]

    is_letter = unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo")
    assert is_letter or id_problem(bad_id)
