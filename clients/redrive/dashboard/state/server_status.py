"""Whether the server is reachable, by the results of the latest calls."""

from collections.abc import Callable, Iterator

from redrive.errors import DeadlineExceeded, RedriveError, Unavailable


class ServerStatus:
    """Records the result of each call, and notifies subscribers when the server becomes unreachable or reachable."""

    def __init__(self) -> None:
        self.is_reachable = True
        self._listeners: dict[object, Callable[[], None]] = {}

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` at each change; the function returned removes the callback."""
        key = object()
        self._listeners[key] = changed
        return lambda: self._forget(key)

    def record_response(self) -> None:
        """Record that the server answered."""
        self._set(is_reachable=True)

    def record_error(self, error: RedriveError) -> None:
        """Record an error; errors that the server returned count as answers."""
        self._set(is_reachable=not is_unreachable(error))

    def _set(self, *, is_reachable: bool) -> None:
        if is_reachable == self.is_reachable:
            return
        self.is_reachable = is_reachable
        for changed in self._all():
            changed()

    def _all(self) -> Iterator[Callable[[], None]]:
        return iter(list(self._listeners.values()))

    def _forget(self, key: object) -> None:
        self._listeners.pop(key, None)


def is_unreachable(error: RedriveError) -> bool:
    """Return whether an error means that no server answered."""
    return isinstance(error, DeadlineExceeded) or (isinstance(error, Unavailable) and not error.reason)
