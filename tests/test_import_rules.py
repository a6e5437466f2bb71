"""The import contracts in pyproject.toml hold, and each of them can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("domain", "projections", "server", "clients/redrive")


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-cache", "--no-logo", *options, str(ROOT / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_hold() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [
        ("layers", "domain", "projections"),
        ("layers", "domain", "server"),
        ("layers", "projections", "server"),
        ("domain", "domain", "sqlite3"),
        ("domain", "domain", "google.protobuf"),
        ("projections", "projections", "redrive.v1.message_pb2"),
        ("clients", "redrive", "domain"),
        ("frontends", "redrive/dashboard", "redrive.cli.main"),
        ("dashboard", "redrive/dashboard/state", "redrive.dashboard.pages.frame"),
        ("edge", "server/sending", "grpc"),
        ("edge", "server/sandbox", "google.rpc.status_pb2"),
        ("edge", "server/api", "redrive"),
        ("server", "server/sending", "server.api"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, contract: str, importer: str, imported: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / importer / "intruder.py").write_text(f"import {imported}\n")

    result = lint_imports(tmp_path, "--contract", contract)

    assert result.returncode == 1
    assert f"{importer.replace('/', '.')}.intruder ->" in result.stdout, result.stdout + result.stderr
