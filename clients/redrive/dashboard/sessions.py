"""Who looks at the dashboard. Tokens are kept in this process's memory only: the browser has a random id."""

import secrets
import time
from collections.abc import Callable, Mapping

from redrive.dashboard.backend import Backend
from redrive.dashboard.settings import DashboardSettings

COOKIE = "redrive_session"
IDLE_SECONDS = 12 * 3600.0
_MOST = 1_000


class _Session:
    def __init__(self, token: str, now: float) -> None:
        self.token = token
        self.used = now
        self._tabs: dict[object, Callable[[], None]] = {}

    def follow(self, leave: Callable[[], None]) -> Callable[[], None]:
        key = object()
        self._tabs[key] = leave
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        self._tabs.pop(key, None)

    def end(self) -> None:
        for leave in list(self._tabs.values()):
            leave()


class Sessions:
    """Finds the backend of a browser: its session's, or the one without a token."""

    def __init__(self, settings: DashboardSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._backends: dict[str | None, Backend] = {}
        self._tried: list[str] = []

    def backend(self, cookies: Mapping[str, str]) -> Backend:
        """The backend for a request."""
        session = self._current(cookies)
        if session is None:
            return self._backend(None)
        session.used = self._clock()
        return self._backend(session.token)

    def is_logged_in(self, cookies: Mapping[str, str]) -> bool:
        """Whether a token was given."""
        return self._current(cookies) is not None

    def on_end(self, cookies: Mapping[str, str], leave: Callable[[], None]) -> Callable[[], None]:
        """Call `leave` once the session of a tab has ended; the answer takes that back.

        Other sessions may have the same token: they go on.
        """
        session = self._current(cookies)
        return self._backend(None).on_close(leave) if session is None else session.follow(leave)

    async def log_in(self, token: str) -> str:
        """Tries a token; the new session's id. Raises RedriveError, and ValueError for what is no token."""
        backend = self._backend(token)
        session_id = secrets.token_urlsafe(32)
        self._tried.append(token)  # else somebody else's failure would close the connection
        try:
            await backend.check()
            self._sessions[session_id] = _Session(token, self._clock())
        finally:
            self._tried.remove(token)
            await self.end_idle()
        return session_id

    async def log_out(self, cookies: Mapping[str, str]) -> None:
        """End the session in all of its tabs, and forget the token unless another session has it."""
        self._end(cookies.get(COOKIE, ""))
        await self._drop_unused()

    async def end_idle(self) -> None:
        """Forgets those that nobody has used for long, and the longest unused of too many; their tabs are sent away."""
        by_use = sorted(self._sessions, key=lambda session_id: self._sessions[session_id].used)
        surplus = by_use[: max(0, len(by_use) - _MOST)]
        for session_id in by_use:
            if session_id in surplus or self._is_idle(self._sessions[session_id]):
                self._end(session_id)
        await self._drop_unused()

    async def close(self) -> None:
        """Forgets everybody."""
        for session_id in list(self._sessions):
            self._end(session_id)
        for token in list(self._backends):
            await self._backends.pop(token).close()

    def _end(self, session_id: str) -> None:
        if (session := self._sessions.pop(session_id, None)) is not None:
            session.end()

    def _current(self, cookies: Mapping[str, str]) -> _Session | None:
        session = self._sessions.get(cookies.get(COOKIE, ""))
        return None if session is None or self._is_idle(session) else session

    def _backend(self, token: str | None) -> Backend:
        if token not in self._backends:
            self._backends[token] = Backend(self._settings, token)
        return self._backends[token]

    async def _drop_unused(self) -> None:
        used = {*self._tried, *(session.token for session in self._sessions.values())}
        for token in [token for token in self._backends if token is not None and token not in used]:
            await self._backends.pop(token).close()

    def _is_idle(self, session: _Session) -> bool:
        return self._clock() > session.used + IDLE_SECONDS
