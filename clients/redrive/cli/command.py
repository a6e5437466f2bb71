"""Typer commands made from async functions that take a CommandContext."""

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
from typer.core import TyperCommand, TyperGroup

from redrive.cli.exit_codes import InvalidInput, error_json, error_lines, exit_code_of
from redrive.cli.output import Output
from redrive.cli.settings import CommandSettings, OutputFormat
from redrive.client import Client
from redrive.errors import RedriveError


@dataclass(frozen=True)
class CommandContext:
    """The client, the output and the settings that a command uses."""

    client: Client
    output: Output
    settings: CommandSettings


_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
_SETTINGS = tuple(inspect.signature(CommandSettings).parameters.values())


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


def add_command(
    app: typer.Typer, name: str, command: Callable[Concatenate[CommandContext, ...], Awaitable[None]]
) -> None:
    """Add `command` to the app: its docstring is the help, its parameters after the context are the options."""
    app.command(name, cls=PlainFlagCommand, help=inspect.getdoc(command))(_runnable(command))


def add_settings(app: typer.Typer) -> None:
    """Accept the settings, and --version, before a command's name too."""

    def remember(context: typer.Context, **given: Any) -> None:
        del given[_VERSION.name]  # with --version, the callback has already exited
        context.obj = CommandSettings(**given)

    app.callback()(_with_parameters(remember, [_CONTEXT, *_SETTINGS, _VERSION]))


def _runnable(command: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    own = list(inspect.signature(command).parameters.values())[1:]
    taken = {parameter.name for parameter in own}
    settings = [parameter for parameter in _SETTINGS if parameter.name not in taken]

    def run(context: typer.Context, **given: Any) -> None:
        after_name = CommandSettings(**{parameter.name: given.pop(parameter.name) for parameter in settings})
        before_name: CommandSettings = context.obj
        _run_command(command, before_name.overridden_by(after_name), given)

    return _with_parameters(run, [_CONTEXT, *(parameter.replace(kind=_CONTEXT.kind) for parameter in own), *settings])


def _with_parameters(function: Callable[..., None], parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """Return the function with the signature that typer reads its options from."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _run_command(command: Callable[..., Awaitable[None]], settings: CommandSettings, options: dict[str, Any]) -> None:
    async def with_client() -> None:
        cancel_on_interrupt()
        async with settings.connect() as client:
            await command(
                CommandContext(client, Output(as_json=settings.output is OutputFormat.JSON), settings), **options
            )

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own log lines would repeat the errors below
    try:
        asyncio.run(with_client())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except typer.BadParameter as error:
        if settings.output is not OutputFormat.JSON:
            raise
        _exit_with(InvalidInput(error.format_message()), settings)
    except RedriveError as error:
        _exit_with(error, settings)


def cancel_on_interrupt() -> None:
    """Cancel the current task on Ctrl-C at once.

    Python's default handler does not wake a waiting event loop if a thread of gRPC received the signal.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from a coroutine
    with suppress(RuntimeError):  # not in the main thread, or not on this system: Python's default remains
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)


def restore_interrupts() -> None:
    """Remove the handler again, for a command that handles signals itself."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def _exit_with(error: RedriveError, settings: CommandSettings) -> NoReturn:
    text = error_json(error) if settings.output is OutputFormat.JSON else error_lines(error, settings.target)
    typer.echo(text, err=True)
    raise typer.Exit(exit_code_of(error)) from error


class PlainFlagCommand(TyperCommand):
    """A command whose help shows a flag as `--tls`, not as `--tls <bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_flag_metavars(super().get_params(ctx))


class PlainFlagGroup(TyperGroup):
    """A group of commands whose help shows a flag as `--tls`, not as `--tls <bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_flag_metavars(super().get_params(ctx))


def _without_flag_metavars(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters
