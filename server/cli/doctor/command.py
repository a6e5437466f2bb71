"""The command `redrive-server doctor`."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from projections.sql import Sql
from server.cli.doctor import addresses, database, platform, secret_key
from server.cli.doctor.finding import Finding, Severity, ok, problem
from server.crypto.vault import Vault
from server.settings import Settings, SettingsError, read_settings, unknown_names

_WIDTH = 8


def doctor(
    *,
    pages: Annotated[bool, typer.Option("--pages", help="Also try every page's token with one harmless call.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check settings, database, key, clocks, platform and addresses, and say how to fix what is wrong.

    It changes nothing, and servers may run at the same time. The settings are the server's. Exit codes: 0, no problem
    (there may be warnings); 1, there are problems.
    """
    findings = _examine(pages=pages)
    is_well = all(finding.severity is not Severity.PROBLEM for finding in findings)
    typer.echo(_in_json(findings, is_well=is_well) if as_json else _as_text(findings))
    raise typer.Exit(0 if is_well else 1)


def _examine(*, pages: bool) -> Sequence[Finding]:
    try:
        settings = read_settings()
    except SettingsError as error:
        return [problem("settings", str(error), "see docs/settings.md for the allowed values")]
    return [
        *_examine_names(),
        *_examine_database(settings, pages=pages),
        *asyncio.run(platform.examine(settings)),
        *addresses.examine(settings),
    ]


def _examine_names() -> Sequence[Finding]:
    unknown = unknown_names()
    if not unknown:
        return [ok("settings", "all are known and well-formed")]
    return [problem("settings", f"{name} is not a setting", "correct its name, or remove it") for name in unknown]


def _examine_database(settings: Settings, *, pages: bool) -> Sequence[Finding]:
    try:
        with database.opened(settings) as sql:
            key = secret_key.examine(settings, sql)
            is_open = all(finding.severity is not Severity.PROBLEM for finding in key)
            tokens = _examine_pages(settings, sql) if pages and is_open and sql is not None else []
            return [*database.examine(settings, sql), *key, *tokens]
    except database.AWAY as error:
        return [database.unreachable(settings, error)]


def _examine_pages(settings: Settings, sql: Sql) -> Sequence[Finding]:
    key = secret_key.read(settings)
    if key is None:
        return []
    return asyncio.run(platform.examine_pages(settings, sql, Vault(key)))


def _in_json(findings: Sequence[Finding], *, is_well: bool) -> str:
    return msgspec.json.encode({"is_well": is_well, "findings": findings}).decode()


def _as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity:<{_WIDTH}} {finding.check}: {finding.message}")
        if finding.remedy:
            lines.append(f"{'':<{_WIDTH}} -> {finding.remedy}")
    return "\n".join(lines)
