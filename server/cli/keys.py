"""The command `redrive-server keys rotate`: another server's key for all that is sealed."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from server.bootstrap import key_file, open_store, secret_key
from server.cli.maintenance import in_words
from server.cluster.page_leases import living
from server.crypto import rotation
from server.crypto.key_ring import SealingKey, SecretKeyError, keep_key, parse_key, random_key
from server.crypto.rotation import WrongKeyError
from server.eventstore.rebuild import nobody
from server.eventstore.store import Store
from server.settings import Settings, read_settings

NEW_KEY = "REDRIVE_NEW_SECRET_KEY"

keys = typer.Typer(rich_markup_mode=None, help="The server's key, which seals page tokens and message keys.")


@keys.callback()
def _group() -> None:
    """Keeps `rotate` a command of its own."""


@keys.command()
def rotate(
    new_key_file: Annotated[
        Path | None, typer.Option(help="A file that holds the new key in base64, instead of REDRIVE_NEW_SECRET_KEY.")
    ] = None,
) -> None:
    """Seals page tokens, message keys and person keys with a new key.

    Stop every server first. The old key is the settings' (REDRIVE_SECRET_KEY, or the file beside an embedded database);
    the new one is REDRIVE_NEW_SECRET_KEY, 32 bytes in base64. Where the key stands in a file beside the database, that
    file gets the new key at the end, and a random one is made when none is given. A rotation that was cut off goes on
    when it is run again with the same keys; until its end no server starts. Back-ups from before need the old key.
    """
    with in_words("keys rotate"):
        settings = read_settings()
        with closing(open_store(settings)) as store:
            _rotate(settings, store, _given_key(new_key_file))


def _rotate(settings: Settings, store: Store, given: str) -> None:
    old = secret_key(store, settings)
    file = None if settings.secret_key is not None else key_file(settings)
    new = _new_key(given, file)
    if new.is_same(old):
        raise SecretKeyError("the new key is the one that is in use")
    try:
        found = rotation.rotate(store, old, new, nobody if settings.is_embedded else living)
    except WrongKeyError as error:
        words = f"nothing was changed: a row of {error} opens with neither the old key nor the new one"
        raise SecretKeyError(words) from error
    if file is not None:
        _waiting(file).replace(file)
    for table, rows in found.items():
        typer.echo(f"{table}: {rows} sealed anew")
    typer.echo(f"{file} holds the new key" if file else "start the servers with the new key as REDRIVE_SECRET_KEY")


def _given_key(file: Path | None) -> str:
    return file.read_text().strip() if file else os.environ.get(NEW_KEY, "")


def _new_key(given: str, file: Path | None) -> SealingKey:
    """Where the key stands in a file, the new one waits beside it before anything is sealed with it."""
    if file is None:
        if not given:
            raise SecretKeyError(f"{NEW_KEY} is not set: 32 bytes in base64, as from `openssl rand -base64 32`")
        return parse_key(given, NEW_KEY)
    waiting = _waiting(file)
    if not waiting.exists():
        key = given or random_key()
        parse_key(key, NEW_KEY)
        keep_key(waiting, key)
    new = parse_key(waiting.read_text().strip(), str(waiting))
    if given and not new.is_same(parse_key(given, NEW_KEY)):
        raise SecretKeyError(f"a rotation to another key was cut off, which {waiting} holds: run it without {NEW_KEY}")
    return new


def _waiting(file: Path) -> Path:
    return file.with_name(f"{file.name}.new")
