"""The command `redrive-server keys rotate`, which replaces the server's secret key."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from server.bootstrap import key_file, open_store, secret_key
from server.cli.errors import exit_on_error
from server.cluster.page_leases import live_processes
from server.crypto import rotation
from server.crypto.key_ring import SealingKey, SecretKeyError, parse_key, random_key, write_key
from server.crypto.rotation import WrongKeyError
from server.eventstore.rebuild import no_workers
from server.eventstore.store import Store
from server.settings import Settings, read_settings

NEW_KEY = "REDRIVE_NEW_SECRET_KEY"

keys = typer.Typer(rich_markup_mode=None, help="The server's secret key, which encrypts page tokens and message keys.")


@keys.callback()
def _group() -> None:
    """Make `rotate` a subcommand."""


@keys.command()
def rotate(
    new_key_file: Annotated[
        Path | None, typer.Option(help="A file with the new key in base64, instead of REDRIVE_NEW_SECRET_KEY.")
    ] = None,
) -> None:
    """Encrypt page tokens, message keys and person keys with a new key.

    Stop every server first. The old key comes from the settings (REDRIVE_SECRET_KEY, or the key file next to an
    embedded database); the new one is REDRIVE_NEW_SECRET_KEY, 32 bytes in base64. A key file receives the new key at
    the end, and without a given key a random one is made. An interrupted rotation resumes when it is run again with the
    same keys; until its end no server starts. Older backups need the old key.
    """
    with exit_on_error("redrive-server keys rotate"):
        settings = read_settings()
        with closing(open_store(settings)) as store:
            _rotate(settings, store, _given_key(new_key_file))


def _rotate(settings: Settings, store: Store, given: str) -> None:
    old = secret_key(store, settings)
    file = None if settings.secret_key is not None else key_file(settings)
    new = _new_key(given, file)
    if new.is_same(old):
        raise SecretKeyError("the new key is the one in use")
    try:
        found = rotation.rotate(store, old, new, no_workers if settings.is_embedded else live_processes)
    except WrongKeyError as error:
        reason = f"nothing was changed: neither the old key nor the new one decrypts a row of {error}"
        raise SecretKeyError(reason) from error
    if file is not None:
        _pending_file(file).replace(file)
    for table, rows in found.items():
        typer.echo(f"{table}: {rows} encrypted with the new key")
    typer.echo(f"{file} holds the new key" if file else "start the servers with the new key as REDRIVE_SECRET_KEY")


def _given_key(file: Path | None) -> str:
    return file.read_text().strip() if file else os.environ.get(NEW_KEY, "")


def _new_key(given: str, file: Path | None) -> SealingKey:
    """Return the new key; with a key file, write it to a pending file first, so that a rotation can resume."""
    if file is None:
        if not given:
            raise SecretKeyError(f"{NEW_KEY} is not set: 32 bytes in base64, as from `openssl rand -base64 32`")
        return parse_key(given, NEW_KEY)
    pending = _pending_file(file)
    if not pending.exists():
        key = given or random_key()
        parse_key(key, NEW_KEY)
        write_key(pending, key)
    new = parse_key(pending.read_text().strip(), str(pending))
    if given and not new.is_same(parse_key(given, NEW_KEY)):
        raise SecretKeyError(f"a rotation to the key in {pending} was interrupted: run it without {NEW_KEY}")
    return new


def _pending_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.new")
