"""The login form for the caller's token: plain HTML, which does not depend on NiceGUI."""

from html import escape
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from redrive.dashboard.state.sessions import COOKIE, Sessions
from redrive.errors import RedriveError, Unauthenticated
from redrive.texts.errors import ErrorText, error_text

HEAD = '<script src="/static/dashboard.js"></script><link rel="stylesheet" href="/static/dashboard.css">'
_REFUSED = ErrorText("The server does not accept this token.", "Check that you pasted all of it, or ask for another.")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in · Redrive</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>
<body><main class="login"><h1>Redrive</h1>
<form method="post" action="/login">
<p>This server requires a token. The dashboard keeps it in memory until you log out.</p>
{error}
<input type="hidden" name="next" value="{next}">
<label class="field"><span>Your token</span>
<input type="password" name="token" required autofocus autocomplete="off" spellcheck="false"></label>
<div class="buttons"><button class="button primary" type="submit">Log in</button></div>
</form></main></body></html>
"""


def add_login(app: FastAPI, sessions: Sessions) -> None:
    """Register the login form and the logout."""

    @app.get("/login")
    async def ask(next: str = "/") -> Response:  # noqa: A002 - the parameter's name in the address
        return _form(next)

    @app.post("/login")
    async def enter(request: Request, token: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        await sessions.log_out(request.cookies)
        try:
            session_id = await sessions.log_in(token.strip())
        except ValueError as error:
            return _form(next, ErrorText("This cannot be a token.", str(error)))
        except RedriveError as error:
            return _form(next, _REFUSED if isinstance(error, Unauthenticated) else error_text(error))
        return _entered(session_id, next, is_secure=request.url.scheme == "https")

    @app.post("/logout")
    async def leave(request: Request) -> Response:
        await sessions.log_out(request.cookies)
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(COOKIE)
        return response


def _form(next_path: str, text: ErrorText | None = None) -> HTMLResponse:
    error = f'<div role="alert" class="error-box"><p>{escape(" ".join(text))}</p></div>' if text else ""
    page = _PAGE.format(head=HEAD, error=error, next=escape(next_path, quote=True))
    return HTMLResponse(page, status_code=403 if text else 200, headers={"cache-control": "no-store"})


def _entered(session_id: str, next_path: str, *, is_secure: bool) -> Response:
    response = RedirectResponse(own_path(next_path), status_code=303)
    response.set_cookie(COOKIE, session_id, httponly=True, samesite="strict", secure=is_secure)
    return response


def own_path(next_path: str) -> str:
    """Return the path if it belongs to this application, else "/": a login never leads to another site."""
    is_own = next_path.startswith("/") and not next_path.startswith("//") and "\\" not in next_path
    return next_path if is_own else "/"
