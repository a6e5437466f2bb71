"""Which pages have a label of their own: as many as a time-series database bears, first come, first served."""

from collections.abc import Callable, Iterable, Mapping

MOST_PAGES = 200
OTHER = "other"


class PageLabels:
    """A page keeps its label for as long as the process lives; those that came too late share one."""

    def __init__(self, most: int = MOST_PAGES) -> None:
        self._most = most
        self._named: set[str] = set()

    def of(self, page_id: str) -> str:
        """The label of a page."""
        if page_id not in self._named:
            if len(self._named) >= self._most:
                return OTHER
            self._named.add(page_id)
        return page_id

    def grouped(self, values: Mapping[str, float], together: Callable[[Iterable[float]], float]) -> Mapping[str, float]:
        """A value per label, the others' put together."""
        by_label: dict[str, list[float]] = {}
        for page_id, value in values.items():
            by_label.setdefault(self.of(page_id), []).append(value)
        return {label: together(found) for label, found in by_label.items()}
