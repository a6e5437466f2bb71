"""Texts with a recipient's variables filled in."""

import pytest

from domain.content import MAX_TEXT_LENGTH, Content, TextProblem, fill_in, placeholders, text_problem
from domain.recipient import Recipient

ANN = Recipient(id="1", name="Ann", variables={"city": "Hanoi"})


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ("Hello", "Hello"),
        ("Hello {{name}} of {{city}}", "Hello Ann of Hanoi"),
        ("{{ name }}{{city}}", "AnnHanoi"),
        ("{{name}} {{name}}", "Ann Ann"),
        ("{name} {{}} {{first name}} {{na-me}}", "{name} {{}} {{first name}} {{na-me}}"),
        ("{{{name}}}", "{Ann}"),
        ("{{\n name}}", "Ann"),
    ],
)
def test_variables_in_double_braces_are_filled_in(text: str, filled_in: str) -> None:
    assert fill_in(text, ANN.fillings()) == filled_in


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert fill_in("{{a}}", {"a": "{{b}}", "b": "no"}) == "{{b}}"


def test_a_value_with_a_backslash_stays_as_it_is() -> None:
    assert fill_in("{{a}}", {"a": r"\1 \g<0> \n"}) == r"\1 \g<0> \n"


def test_a_missing_variable_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        fill_in("{{city}}", {})


def test_a_variable_called_name_wins_over_the_recipients_name() -> None:
    assert Recipient(id="1", name="Ann", variables={"name": "Dr Ann"}).fillings() == {"name": "Dr Ann"}


def test_placeholders_are_the_variables_a_text_asks_for() -> None:
    assert placeholders("{{a}} {{ b_2 }} {{a}} {c}") == {"a", "b_2"}


def test_a_text_that_fits_has_no_problem() -> None:
    assert text_problem("Hello {{name}} of {{city}}", ANN) is None


def test_missing_variables_are_named() -> None:
    problem = text_problem("{{street}} {{city}} {{age}}", ANN)

    assert problem == TextProblem("lacks {{age}}, {{street}}, which the text asks for")


def test_a_text_of_the_longest_length_fits() -> None:
    text = "x" * (MAX_TEXT_LENGTH - 3)

    assert text_problem(text + "{{name}}", ANN) is None
    assert text_problem(text + "{{name}}!", ANN) == TextProblem(
        "makes a text of 2,001 characters; at most 2,000 are allowed"
    )


def test_a_problem_does_not_show_the_text() -> None:
    secret = "a secret offer " * 200

    problem = text_problem(secret, ANN)

    assert problem is not None
    assert "offer" not in problem.words


def test_contents_are_not_shown() -> None:
    assert "offer" not in repr(Content(text="a secret offer"))
