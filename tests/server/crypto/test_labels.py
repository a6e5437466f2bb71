"""Titles, page names and reasons: sealed for one context, and plain text of earlier releases."""

import pytest

from server.crypto.key_ring import new_key
from server.crypto.labels import LabelKind, Labels
from server.eventstore.codec import SEALED_LABEL, is_sealed_label

TEXTS = ["Spring sale", "ü" * 200, "\N{PARTY POPPER}" * 500, " ", SEALED_LABEL, "with\nlines"]


@pytest.fixture
def titles() -> LabelKind:
    return Labels(new_key()).titles


@pytest.mark.parametrize("text", TEXTS)
def test_a_sealed_label_opens_and_hides_its_text(titles: LabelKind, text: str) -> None:
    kept = titles.seal(text, "m-1")

    assert is_sealed_label(kept)
    assert text not in kept.removeprefix(SEALED_LABEL)
    assert [titles.open(kept, "m-1") for _ in range(2)] == [text, text]  # opened, and then read from the cache


def test_an_empty_label_stays_empty(titles: LabelKind) -> None:
    assert titles.seal("", "m-1") == titles.open("", "m-1") == ""


@pytest.mark.parametrize(
    "text", [*TEXTS, f"{SEALED_LABEL}AAAA", f"{SEALED_LABEL}no base64", f"{SEALED_LABEL}ü", SEALED_LABEL + "A" * 80]
)
def test_plain_text_of_an_earlier_release_is_returned_unchanged(titles: LabelKind, text: str) -> None:
    assert titles.open(text, "m-1") == text


def test_a_copy_in_another_context_does_not_open_even_if_the_label_is_cached() -> None:
    labels = Labels(new_key())
    kept = labels.titles.seal("Spring sale", "m-1")
    assert labels.titles.open(kept, "m-1") == "Spring sale"

    assert labels.titles.open(kept, "m-2") == kept
    assert labels.resend_reasons.open(kept, "m-1") == kept
    assert Labels(new_key()).titles.open(kept, "m-1") == kept


def test_two_seals_of_one_label_differ_and_both_open(titles: LabelKind) -> None:
    first, second = (titles.seal("Spring sale", "m-1") for _ in range(2))

    assert first != second
    assert titles.matches("Spring sale", first, "m-1")
    assert titles.matches("Spring sale", second, "m-1")
    assert not titles.matches("Spring sale", "Spring sale", "m-1")
    assert not titles.matches("Summer sale", first, "m-1")


def test_the_cache_of_opened_labels_is_bounded(titles: LabelKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.crypto.labels.CACHED_LABELS", 10)
    kept = [titles.seal(f"Title {number}", "m-1") for number in range(25)]

    for _ in range(2):
        assert [titles.open(one, "m-1") for one in kept] == [f"Title {number}" for number in range(25)]
    assert len(titles._opened) <= 10


def test_labels_are_not_shown_in_a_repr() -> None:
    labels = Labels(new_key())
    labels.titles.open(labels.titles.seal("Spring sale", "m-1"), "m-1")

    assert "Spring" not in f"{labels!r} {labels.titles!r}"
