"""The project's own checks in `make check` report what they are meant to find."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.checks import audit, static

FOUND = {"name": "left", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
CLEAN = {"name": "right", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "own", "skip_reason": "not found"}


def test_insecure_code_is_reported_unless_its_line_is_accepted(tmp_path: Path) -> None:
    insecure = '    sql.execute(f"SELECT * FROM {table}")'
    (tmp_path / "code.py").write_text(f"def query(sql, table):\n{insecure}\n{insecure}  # noqa: S608 - fixed text\n")

    [line] = static.report_lines([str(tmp_path)])

    assert line.startswith(f"{tmp_path / 'code.py'}:2: B608")


@pytest.mark.parametrize(
    ("packages", "code", "text"),
    [
        ([FOUND, CLEAN, UNKNOWN], 1, "CVE-1, fixed in 1.1"),
        ([CLEAN, UNKNOWN], 0, "no known vulnerability in 1 packages; 1 could not be looked up"),
        ([UNKNOWN], 0, "NOT AUDITED"),
        (None, 0, "NOT AUDITED"),
    ],
)
def test_only_a_known_vulnerability_fails_the_audit(
    packages: list[dict[str, object]] | None, code: int, text: str
) -> None:
    ended, said = audit.summarize("a.lock", packages)

    assert ended == code
    assert text in said


# Invented values, assembled here so that this file does not contain them.
PLANTED = {
    "a page token": "TOKEN = '" + "EAA" + "B3xYz9" * 12 + "'",
    "a caller's token": "rdt_" + "Zk3-" * 12,
    "a private key": "-----BEGIN " + "PRIVATE KEY-----",
    "an AWS key": "AKIA" + "J4K5L6M7N8P9Q2R3",
    "a GitHub token": "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8",
    "a password in an address": "postgresql://redrive:" + "h4rdT0gu3ss@db.example.org/redrive",
    "a named secret": "app_secret = '" + "9f8e7d6c5b4a39281706f5e4d3c2b1a0" + "'",
}


SCAN = Path(__file__).parents[2] / "deploy/checks/secret_scan.py"


def scan(folder: Path, *options: str) -> tuple[int, str]:
    """Run the scan of a folder in a child process, and return its exit code and error output.

    A child process, because this process cannot import the check's `requests` module.
    """
    ran = subprocess.run([sys.executable, SCAN, *options], cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_secret_fails_the_check(tmp_path: Path, planted: str) -> None:
    (tmp_path / "settings.py").write_text(f"fine = 1\n{planted}\n")

    code, said = scan(tmp_path)

    assert code == 1
    assert "settings.py:2: " in said
    assert planted not in said


def test_real_secrets_are_reported_in_tests_too(tmp_path: Path) -> None:
    """An invented password is accepted in tests; platform and private keys are not."""
    (tmp_path / "tests").mkdir()
    real = [PLANTED[name] for name in ("a page token", "a private key", "an AWS key", "a GitHub token")]
    (tmp_path / "tests/test_it.py").write_text("\n".join(["PASSWORD = 'made-up-password'", *real]))

    _, said = scan(tmp_path)

    assert re.findall(r"test_it\.py:(\d+)", said) == ["2", "3", "4", "5"]


def test_an_accepted_secret_passes_and_a_different_one_in_its_place_fails(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text(PLANTED["a named secret"])
    assert [scan(tmp_path, "--accept"), scan(tmp_path)] == [(0, ""), (0, "")]

    file.write_text("\n\n" + PLANTED["a named secret"])
    assert scan(tmp_path)[0] == 0
    file.write_text(PLANTED["a named secret"].replace("9f8e", "8e9f"))
    assert scan(tmp_path)[0] == 1


def test_the_scan_includes_new_files_that_git_does_not_ignore(tmp_path: Path) -> None:
    git(tmp_path, "init")
    for name in ("known.py", "new.py", "ignored.py", "requirements.lock"):
        (tmp_path / name).write_text(PLANTED["an AWS key"])
    (tmp_path / ".gitignore").write_text("ignored.py")
    git(tmp_path, "add", "known.py")

    _, said = scan(tmp_path)

    assert re.findall(r"(\w+)\.\w+:1", said) == ["known", "new"]


def test_make_check_scans_for_secrets() -> None:
    assert "deploy/checks/secret_scan.py\n" in Path(__file__).parents[2].joinpath("Makefile").read_text()
