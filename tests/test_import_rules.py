"""The import contracts in pyproject.toml hold, and each of them can fail."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("domain", "projections", "server", "clients/redrive")
FORBIDDEN_IMPORTS = {  # by contract: importing folder and imported module
    "layers": [
        ("domain", "projections"),
        ("domain", "server"),
        ("projections", "server"),
    ],
    "domain": [
        ("domain", "sqlite3"),
        ("domain", "google"),
    ],
    "projections": [
        ("projections", "redrive.v1.message_pb2"),
    ],
    "clients": [
        ("redrive", "domain"),
    ],
    "frontends": [
        ("redrive/dashboard", "redrive.cli.main"),
    ],
    "dashboard": [
        ("redrive/dashboard/state", "redrive.dashboard.pages.frame"),
    ],
    "edge": [
        ("server/sending", "grpc"),
        ("server/sandbox", "google"),
        ("server/api", "redrive"),
    ],
    "rooms": [
        ("server/sending", "server.api.services"),
        ("server/cli", "server.main"),
        ("server/api", "server.bootstrap"),
        ("server/queries", "server.progress.hub"),
        ("server/background", "server.queries.rounds"),
        ("server/sending", "server.background.retry_timer"),
        ("server/commands", "server.sending.dispatcher"),
        ("server/cluster", "server.sending.dispatcher"),
        ("server/crypto", "server.cluster.page_leases"),
        ("server/auth", "server.commands.send"),
        ("server/observability", "server.crypto.vault"),
        ("server/eventstore", "server.cluster.page_leases"),
        ("server/eventstore", "server.crypto.labels"),
        ("server/messenger", "server.eventstore.store"),
        ("server/webhooks", "server.eventstore.store"),
        ("server/sandbox", "server.webhooks.app"),
        ("server/runtime", "server.messenger.channel"),
    ],
    "processes": [
        ("server/observability", "server.webhooks.app"),
        ("server/sending", "server.sandbox.runner"),
    ],
    "api": [
        ("server/api/servicers", "server.api.server"),
        ("server/api/servicers", "server.api.interceptors.gate"),
        ("server/api/mapping", "server.api.servicers.delivery"),
        ("server/api/mapping", "server.api.interceptors.limits"),
        ("server/api/validation", "server.api.mapping.content"),
    ],
}


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-cache", "--no-logo", *options, str(ROOT / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_hold() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("contract", FORBIDDEN_IMPORTS)
def test_forbidden_imports_break_their_contract(tmp_path: Path, contract: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    for importer, imported in FORBIDDEN_IMPORTS[contract]:
        with (tmp_path / importer / "intruder.py").open("a") as intruder:
            intruder.write(f"import {imported}\n")

    result = lint_imports(tmp_path, "--contract", contract)

    assert result.returncode == 1
    for importer, imported in FORBIDDEN_IMPORTS[contract]:
        assert f"{importer.replace('/', '.')}.intruder -> {imported}" in result.stdout, result.stdout + result.stderr


def test_every_contract_is_broken_by_a_forbidden_import() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert {contract["id"] for contract in contracts} == set(FORBIDDEN_IMPORTS)
