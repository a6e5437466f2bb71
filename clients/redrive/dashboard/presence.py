"""Whether the server answers, as the latest calls found it."""

from collections.abc import Callable, Iterator

from redrive.errors import DeadlineExceeded, RedriveError, Unavailable


class Presence:
    """Told by whoever calls the server; tells those who listen when it goes away and when it is back."""

    def __init__(self) -> None:
        self.is_here = True
        self._listeners: dict[object, Callable[[], None]] = {}

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Calls `changed` at each change; ends when the answer is called."""
        key = object()
        self._listeners[key] = changed
        return lambda: self._forget(key)

    def answered(self) -> None:
        """The server answered a call, whatever it said."""
        self._set(is_here=True)

    def failed(self, error: RedriveError) -> None:
        """A call ended with an error, which may be an answer too."""
        self._set(is_here=not is_away(error))

    def _set(self, *, is_here: bool) -> None:
        if is_here == self.is_here:
            return
        self.is_here = is_here
        for changed in self._all():
            changed()

    def _all(self) -> Iterator[Callable[[], None]]:
        return iter(list(self._listeners.values()))

    def _forget(self, key: object) -> None:
        self._listeners.pop(key, None)


def is_away(error: RedriveError) -> bool:
    """Whether an error says that no server answered, rather than what one answered."""
    return isinstance(error, DeadlineExceeded) or (isinstance(error, Unavailable) and not error.reason)
