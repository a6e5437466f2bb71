"""Classification of every row of the platform's error table, and of answers without a readable error."""

import pytest

from domain.classification import (
    PlatformError,
    attribute_missing_object,
    classify,
    classify_no_answer,
    classify_no_connection,
    classify_unreadable_answer,
    classify_unserializable,
)
from domain.fault import ErrorType, FaultScope, RetryRule
from domain.outcome import Failed, Outcome, Sent, Unconfirmed

APP = FaultScope.APP
Meaning = tuple[ErrorType, FaultScope, RetryRule]

NETWORK = (ErrorType.NETWORK, FaultScope.TRANSPORT, RetryRule.AUTOMATIC)
TOKEN = (ErrorType.ACCESS_TOKEN, FaultScope.PAGE, RetryRule.NEW_TOKEN)
NO_RECIPIENT = (ErrorType.INVALID_RECIPIENT, FaultScope.RECIPIENT, RetryRule.NEVER)
CONTENT = (ErrorType.OTHER, FaultScope.CONTENT, RetryRule.NEVER)
OTHER = (ErrorType.OTHER, FaultScope.RECIPIENT, RetryRule.NEVER)


def limited(scope: FaultScope) -> Meaning:
    return (ErrorType.RATE_LIMIT, scope, RetryRule.AUTOMATIC)


def forbidden(scope: FaultScope) -> Meaning:
    return (ErrorType.PERMISSION, scope, RetryRule.NEVER)


def meaning(outcome: Outcome) -> Meaning:
    assert not isinstance(outcome, Sent)
    return (outcome.fault.type, outcome.fault.scope, outcome.fault.retry)


TABLE: list[tuple[int, tuple[int, ...], Meaning]] = [
    (-1, (0,), NETWORK),
    (1, (0, 99), NETWORK),
    (2, (0,), NETWORK),
    (1200, (0, 2018024), NETWORK),
    (2, (2018344,), forbidden(FaultScope.PAGE)),
    (3, (0,), forbidden(FaultScope.APP)),
    (4, (0,), limited(FaultScope.APP)),
    (341, (0,), limited(FaultScope.APP)),
    (17, (0,), limited(FaultScope.PAGE)),
    (32, (0,), limited(FaultScope.PAGE)),
    (613, (0, 2534040, 1996, 5044001), limited(FaultScope.PAGE)),
    *[(code, (0, 2446079), limited(FaultScope.PAGE)) for code in (*range(80000, 80007), 80008, 80009, 80014)],
    (4, (2018354,), limited(FaultScope.RECIPIENT)),
    (9, (2018352,), limited(FaultScope.RECIPIENT)),
    (613, (2018338,), limited(FaultScope.RECIPIENT)),
    (613, (1893016,), OTHER),
    (10, (0,), forbidden(FaultScope.PAGE)),
    (200, (0, 1), forbidden(FaultScope.PAGE)),
    (230, (0,), forbidden(FaultScope.PAGE)),
    (299, (0,), forbidden(FaultScope.PAGE)),
    (300, (0,), OTHER),
    (10, (2018278, 2018065, 2534022), forbidden(FaultScope.RECIPIENT)),
    (10, (2018108,), NO_RECIPIENT),
    (551, (0, 1545041), NO_RECIPIENT),
    (200, (1545041,), NO_RECIPIENT),
    (10, (1893015, 2018300), forbidden(FaultScope.RECIPIENT)),
    (10, (7777777,), forbidden(FaultScope.RECIPIENT)),
    (2018321, (0,), (ErrorType.OTHER, FaultScope.RECIPIENT, RetryRule.AUTOMATIC)),
    (10, (2018321,), (ErrorType.OTHER, FaultScope.RECIPIENT, RetryRule.AUTOMATIC)),
    (10, (1893063,), limited(FaultScope.PAGE)),
    (10, (1404170, 2534077), forbidden(FaultScope.PAGE)),
    (200, (2018028, 2018027), forbidden(FaultScope.APP)),
    (200, (2018021, 2534041), forbidden(FaultScope.PAGE)),
    (100, (2018001, 2534014, 33), NO_RECIPIENT),
    (100, (2534001, 2534037), OTHER),
    (100, (2018008, 2018047, 2018074, 2018109, 2018294, 2018014, 2018320, 2018328), CONTENT),
    (100, (2534015, 2018032, 2018034, 1893043, 0, 7777777), CONTENT),
    (100, (2018164, 2534013, 2534029), forbidden(FaultScope.PAGE)),
    (102, (0,), TOKEN),
    (190, (0, 458, 459, 460, 463, 464, 467, 490, 492, 2069032), TOKEN),
    (368, (0,), (ErrorType.PERMISSION, FaultScope.PAGE, RetryRule.AUTOMATIC)),
    (506, (0,), OTHER),
    (2022, (0,), forbidden(FaultScope.PAGE)),
    (2500, (0,), OTHER),
    (6000, (1363019,), OTHER),
]
ROWS = [(code, subcode, expected) for code, subcodes, expected in TABLE for subcode in subcodes]


@pytest.mark.parametrize(("code", "subcode", "expected"), ROWS)
def test_code_and_subcode_are_classified_as_in_the_table(code: int, subcode: int, expected: Meaning) -> None:
    assert meaning(classify(PlatformError(code=code, subcode=subcode, message="?", http_status=400))) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PlatformError(code=100, message="(#100) No matching user found"), NO_RECIPIENT),
        (PlatformError(code=100, message="Invalid parameter", error_data="No matching user found."), NO_RECIPIENT),
        (PlatformError(message='(#100) Param recipient[id] must be a valid ID string (e.g., "123")'), NO_RECIPIENT),
        (PlatformError(code=100, message="Invalid appsecret_proof provided in the API argument"), TOKEN),
        (
            PlatformError(code=100, message="requires either app secret proof or an app token"),
            forbidden(FaultScope.APP),
        ),
        (PlatformError(code=100, message="Unsupported post request. Object with ID"), forbidden(FaultScope.PAGE)),
        (PlatformError(code=100, subcode=33, type_name="IGApiException"), OTHER),
        (PlatformError(code=2500, message="An active access token must be used to query"), TOKEN),
        (PlatformError(type_name="OAuthException", message="(#210) User not visible"), TOKEN),
        (PlatformError(type_name="GraphBatchException", message="Too many requests in batch message"), OTHER),
    ],
)
def test_text_and_type_decide_if_the_code_is_ambiguous(error: PlatformError, expected: Meaning) -> None:
    assert meaning(classify(error)) == expected


@pytest.mark.parametrize(("code", "subcode"), [(200, 1545041), (551, 0), (613, 0), (190, 463), (100, 2018047), (42, 0)])
@pytest.mark.parametrize(
    "text", ["(#551) No matching user found", "Invalid appsecret_proof", "Unsupported post request"]
)
def test_the_text_never_overrides_an_unambiguous_code(code: int, subcode: int, text: str) -> None:
    without_text = classify(PlatformError(code=code, subcode=subcode))
    assert meaning(classify(PlatformError(code=code, subcode=subcode, message=text))) == meaning(without_text)


@pytest.mark.parametrize("code", [100, 42, None])
def test_a_transient_unlisted_error_is_a_network_error(code: int | None) -> None:
    error = PlatformError(code=code, is_transient=True, type_name="OAuthException", message="retry")
    assert meaning(classify(error)) == NETWORK


@pytest.mark.parametrize(("code", "subcode"), [(190, 0), (100, 2018001), (10, 2018278), (4, 0)])
def test_the_transient_flag_does_not_change_a_listed_error(code: int, subcode: int) -> None:
    plain, transient = (classify(PlatformError(code=code, subcode=subcode, is_transient=word)) for word in (None, True))
    assert transient == plain


@pytest.mark.parametrize("code", [1, 2])
def test_an_unlisted_subcode_that_is_not_transient_is_no_network_error(code: int) -> None:
    assert meaning(classify(PlatformError(code=code, subcode=7777777, is_transient=False))) == OTHER
    assert meaning(classify(PlatformError(code=code, is_transient=False))) == NETWORK


@pytest.mark.parametrize("status", [200, 400, 403, 500, 503])
@pytest.mark.parametrize("code", [1, 2, 10, 100, 190, 613, 9999])
def test_a_readable_error_is_a_failure_under_any_http_status(code: int, status: int) -> None:
    assert isinstance(classify(PlatformError(code=code, http_status=status)), Failed)


@pytest.mark.parametrize("subcode", [0, 2534023, 4279047, 7777777])
@pytest.mark.parametrize("is_transient", [None, True, False])
def test_an_internal_error_is_unconfirmed(subcode: int, is_transient: bool | None) -> None:
    outcome = classify(PlatformError(code=-1, subcode=subcode, is_transient=is_transient, http_status=400))
    assert isinstance(outcome, Unconfirmed)


def test_the_invalid_json_reply_error_counts_as_sent() -> None:
    assert classify(PlatformError(code=1, subcode=1357046, is_transient=True, http_status=500)) == Sent()


def test_a_5xx_error_without_code_and_type_is_unconfirmed() -> None:
    assert isinstance(classify(PlatformError(message="upstream timed out", http_status=504)), Unconfirmed)
    assert isinstance(classify(PlatformError(message="upstream timed out", http_status=400)), Failed)
    assert isinstance(classify(PlatformError(type_name="Exception", http_status=500)), Failed)


def test_http_429_is_a_page_rate_limit_unless_the_code_is_known() -> None:
    assert meaning(classify(PlatformError(message="slow down", http_status=429))) == limited(FaultScope.PAGE)
    assert meaning(classify(PlatformError(code=190, http_status=429))) == TOKEN


def test_a_fault_keeps_the_platforms_code_and_text() -> None:
    outcome = classify(PlatformError(code=551, subcode=1545041, message="This person isn't available right now."))
    assert isinstance(outcome, Failed)
    assert (outcome.fault.code, outcome.fault.subcode) == (551, 1545041)
    assert outcome.fault.message == "This person isn't available right now."


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 408, 500, 502, 503, 504])
def test_an_unreadable_answer_is_unconfirmed(status: int) -> None:
    outcome = classify_unreadable_answer(status)
    assert isinstance(outcome, Unconfirmed)
    assert meaning(outcome) == NETWORK


@pytest.mark.parametrize("status", [404, 405, 407])
def test_an_unreadable_answer_of_a_host_that_did_not_forward_is_a_failure(status: int) -> None:
    outcome = classify_unreadable_answer(status)
    assert isinstance(outcome, Failed)
    assert meaning(outcome) == NETWORK


def test_an_unreadable_http_429_is_a_rate_limit() -> None:
    outcome = classify_unreadable_answer(429)
    assert isinstance(outcome, Failed)
    assert meaning(outcome) == limited(FaultScope.PAGE)


def test_no_answer_is_unconfirmed_and_no_connection_is_failed() -> None:
    assert (
        meaning(classify_no_answer("ReadTimeout"))
        == meaning(classify_no_connection("ConnectionRefusedError"))
        == NETWORK
    )
    assert isinstance(classify_no_answer("ReadTimeout"), Unconfirmed)
    assert isinstance(classify_no_connection("ConnectionRefusedError"), Failed)


def test_a_request_that_cannot_be_serialized_is_a_content_fault() -> None:
    assert meaning(classify_unserializable("ValueError")) == CONTENT
    assert isinstance(classify_unserializable("ValueError"), Failed)


LOCALISED = "Objekt mit der ID {} ist nicht vorhanden"
PAGE_GONE = (ErrorType.PERMISSION, FaultScope.PAGE, RetryRule.NEW_TOKEN)


@pytest.mark.parametrize(
    ("code", "subcode", "text", "expected"),
    [
        (100, 33, LOCALISED.format("„1001“"), PAGE_GONE),
        (100, 33, LOCALISED.format("'me'"), PAGE_GONE),
        (100, 33, LOCALISED.format("'2002'"), NO_RECIPIENT),
        (100, 33, "Unsupported post request", PAGE_GONE),
        (803, 0, "(#803) Some of the aliases you requested do not exist: 1001", PAGE_GONE),
        (100, 0, LOCALISED.format("1001"), PAGE_GONE),
        (100, 0, LOCALISED.format("2002"), NO_RECIPIENT),
        (100, 0, "(#100) Param recipient is too long: 21001", CONTENT),
        (100, 2018008, LOCALISED.format("1001"), CONTENT),
        (190, 0, LOCALISED.format("2002"), TOKEN),
    ],
)
def test_a_missing_object_is_attributed_to_the_id_in_the_text(
    code: int, subcode: int, text: str, expected: Meaning
) -> None:
    outcome = classify(PlatformError(code=code, subcode=subcode, message=text, type_name="GraphMethodException"))

    assert meaning(attribute_missing_object(outcome, page_id="1001", recipient_id="2002")) == expected


def test_a_short_id_is_not_looked_for_in_a_text() -> None:
    outcome = classify(PlatformError(code=100, message="(#100) at most 100 characters"))

    assert meaning(attribute_missing_object(outcome, page_id="1001", recipient_id="100")) == CONTENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(#10) This message is sent outside of allowed window.", forbidden(FaultScope.RECIPIENT)),
        ("This person isn\u2019t receiving messages from you right now.", NO_RECIPIENT),
        ("(#551) 用户暂时收不到消息。", NO_RECIPIENT),
        ("(#200) This Page is restricted from sending messages for 24 hours", forbidden(FaultScope.PAGE)),
        ("(#10) Application does not have permission for this action", forbidden(FaultScope.PAGE)),
    ],
)
@pytest.mark.parametrize("code", [10, 200, 230])
def test_a_permission_error_is_classified_by_its_text(code: int, text: str, expected: Meaning) -> None:
    assert meaning(classify(PlatformError(code=code, message=text))) == expected
