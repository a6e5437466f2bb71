"""A fault keeps what the platform said, or says in words what happened instead of an answer."""

import pytest

from domain.classification import (
    PlatformError,
    attribute_missing_object,
    classify,
    classify_no_answer,
    classify_no_connection,
    classify_unreadable_answer,
    classify_unserializable,
    redirect_fault,
)
from domain.fault import ErrorType, FaultScope, RetryRule
from domain.graph_codes import is_permission_code
from domain.outcome import Failed, Outcome, Unconfirmed

PERSON = "123456789"


def described(outcome: Outcome) -> tuple[type[Outcome], str, int, int]:
    assert isinstance(outcome, Failed | Unconfirmed)
    return type(outcome), outcome.fault.message, outcome.fault.code, outcome.fault.subcode


def test_an_error_without_a_message_and_a_code_is_described() -> None:
    assert described(classify(PlatformError(type_name="OAuthException"))) == (Failed, "no message", 0, 0)


@pytest.mark.parametrize(("status", "kind"), [(499, Failed), (500, Unconfirmed), (502, Unconfirmed)])
def test_an_error_without_code_and_type_is_certain_below_500(status: int, kind: type[Outcome]) -> None:
    assert isinstance(classify(PlatformError(message="bad", http_status=status)), kind)


@pytest.mark.parametrize(
    ("outcome", "kind", "text"),
    [
        (classify_unreadable_answer(429), Failed, "HTTP 429 without a readable answer"),
        (classify_unreadable_answer(404), Failed, "HTTP 404 without a readable answer"),
        (classify_unreadable_answer(502), Unconfirmed, "HTTP 502 without a readable answer"),
        (classify_no_answer("reset"), Unconfirmed, "no answer: reset"),
        (classify_no_connection("refused"), Failed, "no connection: refused"),
        (classify_unserializable("a lone surrogate"), Failed, "the request cannot be written: a lone surrogate"),
    ],
)
def test_a_missing_answer_is_described(outcome: Outcome, kind: type[Outcome], text: str) -> None:
    assert described(outcome) == (kind, text, 0, 0)


def test_a_redirect_is_a_fault_of_the_address_that_no_retry_helps() -> None:
    fault = redirect_fault(302)

    assert "HTTP 302" in fault.message
    assert (fault.type, fault.scope, fault.retry) == (ErrorType.OTHER, FaultScope.APP, RetryRule.NEVER)


def test_a_fault_whose_object_is_known_keeps_text_and_codes() -> None:
    text = f"Object with ID '{PERSON}' does not exist"
    missing = classify(PlatformError(code=100, subcode=33, message=text))

    outcome = attribute_missing_object(missing, page_id="987654321", recipient_id=PERSON)

    assert described(outcome) == (Failed, text, 100, 33)
    assert isinstance(outcome, Failed)
    assert outcome.fault.type is ErrorType.INVALID_RECIPIENT


@pytest.mark.parametrize(
    ("code", "is_permission"), [(10, True), (200, True), (299, True), (199, False), (300, False), (None, False)]
)
def test_permission_codes_are_10_and_200_to_299(code: int | None, is_permission: bool) -> None:
    assert is_permission_code(code) is is_permission
