"""The number of page labels in the metrics is bounded."""

from server.observability.database_metrics import OTHER_PAGES, PageLabels


def test_pages_beyond_the_limit_share_a_label() -> None:
    labels = PageLabels(limit=2)
    values = {"1": 5.0, "2": 1.0, "3": 2.0, "4": 7.0}

    assert labels.grouped(values, sum) == {"1": 5.0, "2": 1.0, OTHER_PAGES: 9.0}
    assert labels.grouped(values, max) == {"1": 5.0, "2": 1.0, OTHER_PAGES: 7.0}


def test_a_page_keeps_its_label_when_others_are_added() -> None:
    labels = PageLabels(limit=1)
    labels.of("9")

    assert labels.grouped({"1": 1.0, "9": 2.0}, sum) == {OTHER_PAGES: 1.0, "9": 2.0}
