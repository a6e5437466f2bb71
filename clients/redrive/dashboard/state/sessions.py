"""Login sessions. Tokens are kept only in memory; the browser holds a random session id."""

import secrets
import time
from collections.abc import Callable, Mapping

from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.state.backend import Backend

COOKIE = "redrive_session"
IDLE_SECONDS = 12 * 3600.0
_MAX_KEPT = 1_000


class _LoginSession:
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
    """Finds the backend of a browser: the one of its session, or the one without a token."""

    def __init__(self, settings: DashboardSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._sessions: dict[str, _LoginSession] = {}
        self._backends: dict[str | None, Backend] = {}
        self._pending_tokens: list[str] = []

    def backend(self, cookies: Mapping[str, str]) -> Backend:
        """Return the backend for a request."""
        session = self._current(cookies)
        if session is None:
            return self._backend(None)
        session.used = self._clock()
        return self._backend(session.token)

    def is_logged_in(self, cookies: Mapping[str, str]) -> bool:
        """Return whether the browser has a session."""
        return self._current(cookies) is not None

    def on_end(self, cookies: Mapping[str, str], leave: Callable[[], None]) -> Callable[[], None]:
        """Call `leave` when the session of a tab ends; the function returned removes the callback.

        Other sessions with the same token are not affected.
        """
        session = self._current(cookies)
        return self._backend(None).on_close(leave) if session is None else session.follow(leave)

    async def log_in(self, token: str) -> str:
        """Check a token; return the id of a new session. Raises RedriveError, and ValueError for an invalid token."""
        backend = self._backend(token)
        session_id = secrets.token_urlsafe(32)
        self._pending_tokens.append(token)  # keeps the connection open while another login with this token fails
        try:
            await backend.check()
            self._sessions[session_id] = _LoginSession(token, self._clock())
        finally:
            self._pending_tokens.remove(token)
            await self.end_idle()
        return session_id

    async def log_out(self, cookies: Mapping[str, str]) -> None:
        """End the session in all its tabs; drop the token unless another session uses it."""
        self._end(cookies.get(COOKIE, ""))
        await self._drop_unused()

    async def end_idle(self) -> None:
        """End sessions that are idle for 12 hours, and the least recently used of more than 1,000."""
        by_use = sorted(self._sessions, key=lambda session_id: self._sessions[session_id].used)
        surplus = by_use[: max(0, len(by_use) - _MAX_KEPT)]
        for session_id in by_use:
            if session_id in surplus or self._is_idle(self._sessions[session_id]):
                self._end(session_id)
        await self._drop_unused()

    async def close(self) -> None:
        """End all sessions."""
        for session_id in list(self._sessions):
            self._end(session_id)
        for token in list(self._backends):
            await self._backends.pop(token).close()

    def _end(self, session_id: str) -> None:
        if (session := self._sessions.pop(session_id, None)) is not None:
            session.end()

    def _current(self, cookies: Mapping[str, str]) -> _LoginSession | None:
        session = self._sessions.get(cookies.get(COOKIE, ""))
        return None if session is None or self._is_idle(session) else session

    def _backend(self, token: str | None) -> Backend:
        if token not in self._backends:
            self._backends[token] = Backend(self._settings, token)
        return self._backends[token]

    async def _drop_unused(self) -> None:
        used = {*self._pending_tokens, *(session.token for session in self._sessions.values())}
        for token in [token for token in self._backends if token is not None and token not in used]:
            await self._backends.pop(token).close()

    def _is_idle(self, session: _LoginSession) -> bool:
        return self._clock() > session.used + IDLE_SECONDS
