"""Asks for the caller's token. A plain form: it works before anything else does."""

from html import escape
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from redrive.dashboard.sessions import COOKIE, Sessions
from redrive.dashboard.words import Words, in_words
from redrive.errors import RedriveError, Unauthenticated

HEAD = '<script src="/static/dashboard.js"></script><link rel="stylesheet" href="/static/dashboard.css">'
_REFUSED = Words("The server does not know this token.", "Look whether all of it was pasted, or ask for another.")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in · Redrive</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>
<body><main class="login"><h1>Redrive</h1>
<form method="post" action="/login">
<p>This server asks who you are. Your token stays in the dashboard's memory until you log out.</p>
{error}
<input type="hidden" name="next" value="{next}">
<label class="field"><span>Your token</span>
<input type="password" name="token" required autofocus autocomplete="off" spellcheck="false"></label>
<div class="buttons"><button class="button primary" type="submit">Log in</button></div>
</form></main></body></html>
"""


def add_login(app: FastAPI, sessions: Sessions) -> None:
    """Registers the form, and the way out."""

    @app.get("/login")
    async def ask(next: str = "/") -> Response:  # noqa: A002 - the parameter's name in the address
        return _form(next)

    @app.post("/login")
    async def enter(request: Request, token: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        await sessions.log_out(request.cookies)
        try:
            session_id = await sessions.log_in(token.strip())
        except ValueError as error:
            return _form(next, Words("This cannot be a token.", str(error)))
        except RedriveError as error:
            return _form(next, _REFUSED if isinstance(error, Unauthenticated) else in_words(error))
        return _entered(session_id, next, is_secure=request.url.scheme == "https")

    @app.post("/logout")
    async def leave(request: Request) -> Response:
        await sessions.log_out(request.cookies)
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(COOKIE)
        return response


def _form(following: str, words: Words | None = None) -> HTMLResponse:
    error = f'<div role="alert" class="error-box"><p>{escape(" ".join(words))}</p></div>' if words else ""
    page = _PAGE.format(head=HEAD, error=error, next=escape(following, quote=True))
    return HTMLResponse(page, status_code=403 if words else 200, headers={"cache-control": "no-store"})


def _entered(session_id: str, following: str, *, is_secure: bool) -> Response:
    response = RedirectResponse(own_path(following), status_code=303)
    response.set_cookie(COOKIE, session_id, httponly=True, samesite="strict", secure=is_secure)
    return response


def own_path(following: str) -> str:
    """The path, if it is one of this application: never another site."""
    is_own = following.startswith("/") and not following.startswith("//") and "\\" not in following
    return following if is_own else "/"
