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
from server.cli.maintenance import in_words
from server.eventstore.sqlite.store import DatabaseInUseError
from server.eventstore.store import Store
from server.settings import Settings, read_settings

tokens = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


class _Kept(Protocol):
    """Where tokens are kept."""

    def all(self) -> Sequence[Token]: ...
    def add(self, token: Token) -> None: ...
    def remove(self, token_id: str) -> bool: ...


class _Table:
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
    """The tokens that callers are known by: in REDRIVE_AUTH_FILE if that is set, else in the database.

    A running server sees a change of either within a second or two. The settings are the server's.
    """


@tokens.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose messages its holder sends and sees.")],
    scope: Annotated[list[Scope], typer.Option(help="What its holder may do; may be given again. admin is all.")],
    days: Annotated[int, typer.Option(min=0, max=36_500, help="For how long; 0 for ever.")] = 0,
) -> None:
    """Makes a token and shows it, this once, alone on standard output."""
    now = datetime.now(UTC)
    with _kept("create") as kept:
        made = new_token(owner, scope, now=now, expire_time=now + timedelta(days=days) if days else None)
        kept.add(made.kept)
    typer.echo(f"token {made.kept.id} of {owner}; keep it, it cannot be shown again:", err=True)
    typer.echo(made.secret)


@tokens.command("list")
def show() -> None:
    """Lists the tokens by their ids."""
    with _kept("list") as kept:
        found = kept.all()
    for token in found:
        scopes = ",".join(scope for scope in Scope if scope in token.scopes)
        expires = f"expires {_day(token.expire_time)}" if token.expire_time else "for ever"
        typer.echo(f"{token.id}  {token.owner}  {scopes}  made {_day(token.create_time)}  {expires}")
    if not found:
        typer.echo("there are no tokens", err=True)


@tokens.command()
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID", help="As `tokens list` shows it.")]) -> None:
    """Makes a token worthless, within a second or two; watches of its holder end within half a minute."""
    with _kept("revoke") as kept:
        if not kept.remove(token_id):
            raise ValueError(f"there is no token {token_id}")
    typer.echo(f"token {token_id} is revoked")


@contextmanager
def _kept(command: str) -> Iterator[_Kept]:
    with in_words(f"tokens {command}"):
        try:
            settings = read_settings()
            if settings.auth_file is not None:
                yield TokenFile(settings.auth_file)
                return
            _tell_of_database(settings)
            with closing(open_store(settings)) as store:
                yield _Table(store)
        except DatabaseInUseError as error:
            words = f"{error}; stop it, or keep tokens in a file: set REDRIVE_AUTH_FILE, whose changes it sees"
            raise StartRefusedError(words) from error
        except ValueError as error:  # of what was given, or of what the file says
            raise StartRefusedError(str(error)) from error


def _tell_of_database(settings: Settings) -> None:
    if settings.auth != "database":
        typer.echo("in the database: a server asks for these tokens when REDRIVE_AUTH=database is set", err=True)


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
