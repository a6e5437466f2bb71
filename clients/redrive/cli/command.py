"""Makes a command out of an async function that is given a session."""

import asyncio
import inspect
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import Annotated, Any, Concatenate, NoReturn

import typer

from redrive.cli.exits import RefusedInput, as_json, exit_code_of, in_words
from redrive.cli.output import Output
from redrive.cli.plain_flags import Command
from redrive.cli.settings import OutputForm, Settings
from redrive.client import Client
from redrive.errors import RedriveError


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    client: Client
    output: Output
    settings: Settings


_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
_SETTINGS = tuple(inspect.signature(Settings).parameters.values())


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"redrive {version_of('redrive')}")
        raise typer.Exit


_VERSION = inspect.Parameter(
    "version",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ],
)


def add_command(app: typer.Typer, name: str, work: Callable[Concatenate[Session, ...], Awaitable[None]]) -> None:
    """Makes `work` a command of the app: its docstring is the help, what follows the session are the options."""
    app.command(name, cls=Command, help=inspect.getdoc(work))(_runnable(work))


def accept_settings(app: typer.Typer) -> None:
    """Lets the settings stand before a command's name too, and --version alone."""

    def remember(context: typer.Context, **given: Any) -> None:
        del given[_VERSION.name]  # where it was asked for, this is not reached
        context.obj = Settings(**given)

    app.callback()(_with_parameters(remember, [_CONTEXT, *_SETTINGS, _VERSION]))


def _runnable(work: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    own = list(inspect.signature(work).parameters.values())[1:]
    taken = {parameter.name for parameter in own}
    settings = [parameter for parameter in _SETTINGS if parameter.name not in taken]

    def run(context: typer.Context, **given: Any) -> None:
        after_name = Settings(**{parameter.name: given.pop(parameter.name) for parameter in settings})
        before_name: Settings = context.obj
        _carry_out(work, before_name.overridden_by(after_name), given)

    return _with_parameters(run, [_CONTEXT, *(parameter.replace(kind=_CONTEXT.kind) for parameter in own), *settings])


def _with_parameters(function: Callable[..., None], parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """The function with the signature that typer reads its options from."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _carry_out(work: Callable[..., Awaitable[None]], settings: Settings, options: dict[str, Any]) -> None:
    async def with_client() -> None:
        hear_interrupts()
        async with settings.connect() as client:
            await work(Session(client, Output(as_json=settings.output is OutputForm.JSON), settings), **options)

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the errors below say it in words
    try:
        asyncio.run(with_client())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except typer.BadParameter as error:
        if settings.output is not OutputForm.JSON:
            raise
        _end_with(RefusedInput(error.format_message()), settings)
    except RedriveError as error:
        _end_with(error, settings)


def hear_interrupts() -> None:
    """Lets Ctrl-C cancel the task at once.

    Python's own way does not wake a loop that waits already where another thread, of gRPC's, met the signal.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from a coroutine
    with suppress(RuntimeError):  # not in the main thread, or not on this system: Python's own way is left
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)


def leave_interrupts() -> None:
    """For whoever hears signals in another way."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def _end_with(error: RedriveError, settings: Settings) -> NoReturn:
    told = as_json(error) if settings.output is OutputForm.JSON else in_words(error, settings.target)
    typer.echo(told, err=True)
    raise typer.Exit(exit_code_of(error)) from error
