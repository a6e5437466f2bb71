"""The outermost ASGI layer: it refuses requests from other sites, and adds security headers to responses."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redrive.dashboard.settings import DashboardSettings

# NiceGUI draws its pages by an inline script and compiles templates in the browser, which needs both unsafe keywords.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would not send the origin of a form
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_READS = {"GET", "HEAD"}


class RequestGuard:
    """An ASGI application around the dashboard's."""

    def __init__(self, app: ASGIApp, settings: DashboardSettings) -> None:
        self.app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request of the dashboard's own pages, with security headers on the response; refuse others."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif self._is_refused(scope):
            await _refuse(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send))

    def _is_refused(self, scope: Scope) -> bool:
        try:
            return self._is_foreign(scope)
        except ValueError:  # an invalid Host or Origin
            return True

    def _is_foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._settings.is_own_name(urlsplit(f"//{host}").hostname or ""):
            return True
        if origin is None:  # browsers send it with every request that can change something
            return scope["type"] == "websocket" or scope["method"] not in _READS
        return urlsplit(origin).netloc != host


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    response = PlainTextResponse("This request does not come from a page of the dashboard.\n", 403, headers=_HEADERS)
    await response(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return send_with_headers
