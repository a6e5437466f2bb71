"""The commands `redrive-server tokens create | list | revoke`."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

import typer

from server.auth import token_table
from server.auth.auth_file import TokenFile
from server.auth.caller import Scope
from server.auth.tokens import Token, new_token
from server.bootstrap import StartRefusedError, open_store
from server.cli.errors import exit_on_error
from server.eventstore.sqlite.store import DatabaseInUseError
from server.eventstore.store import Store
from server.settings import Settings, read_settings

tokens = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


class _TokenStore(Protocol):
    """The token file, or the table of tokens."""

    def all(self) -> Sequence[Token]: ...
    def add(self, token: Token) -> None: ...
    def remove(self, token_id: str) -> bool: ...


class _DatabaseTokens:
    """The tokens of a database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> Sequence[Token]:
        with self._store.transaction(commit=False) as sql:
            return token_table.all_tokens(sql)

    def add(self, token: Token) -> None:
        with self._store.transaction(commit=True) as sql:
            token_table.add(sql, token)

    def remove(self, token_id: str) -> bool:
        with self._store.transaction(commit=True) as sql:
            return token_table.remove(sql, token_id)


@tokens.callback()
def about() -> None:
    """Manage the tokens of callers, in REDRIVE_AUTH_FILE if that is set, else in the database.

    A running server sees a change within a second or two. The settings are the server's.
    """


@tokens.command()
def create(
    owner: Annotated[str, typer.Option(help="The owner of the messages that its holder sends and sees.")],
    scope: Annotated[list[Scope], typer.Option(help="What its holder may do; repeat it for more. admin allows all.")],
    days: Annotated[int, typer.Option(min=0, max=36_500, help="How long it is valid; 0 = it does not expire.")] = 0,
) -> None:
    """Create a token and print it, once and alone, to standard output."""
    now = datetime.now(UTC)
    with _token_store("create") as store:
        made = new_token(owner, scope, now=now, expire_time=now + timedelta(days=days) if days else None)
        store.add(made.kept)
    typer.echo(f"token {made.kept.id} of {owner}; store it now, it cannot be shown again:", err=True)
    typer.echo(made.secret)


@tokens.command("list")
def show() -> None:
    """List the tokens by id."""
    with _token_store("list") as store:
        found = store.all()
    for token in found:
        scopes = ",".join(scope for scope in Scope if scope in token.scopes)
        expires = f"expires {_day(token.expire_time)}" if token.expire_time else "does not expire"
        typer.echo(f"{token.id}  {token.owner}  {scopes}  created {_day(token.create_time)}  {expires}")
    if not found:
        typer.echo("there are no tokens", err=True)


@tokens.command()
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID", help="As `tokens list` shows it.")]) -> None:
    """Revoke a token: within a second or two for calls, within half a minute for open watches."""
    with _token_store("revoke") as store:
        if not store.remove(token_id):
            raise ValueError(f"there is no token {token_id}")
    typer.echo(f"token {token_id} is revoked")


@contextmanager
def _token_store(command: str) -> Iterator[_TokenStore]:
    with exit_on_error(f"redrive-server tokens {command}"):
        try:
            settings = read_settings()
            if settings.auth_file is not None:
                yield TokenFile(settings.auth_file)
                return
            _warn_if_unused(settings)
            with closing(open_store(settings)) as store:
                yield _DatabaseTokens(store)
        except DatabaseInUseError as error:
            reason = f"{error}; stop it, or set REDRIVE_AUTH_FILE to keep tokens in a file that a running server reads"
            raise StartRefusedError(reason) from error
        except ValueError as error:  # of the arguments or the file
            raise StartRefusedError(str(error)) from error


def _warn_if_unused(settings: Settings) -> None:
    if settings.auth != "database":
        typer.echo("in the database: servers accept these tokens only with REDRIVE_AUTH=database", err=True)


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
