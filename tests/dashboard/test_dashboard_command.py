"""`redrive dashboard` without the extra, and the tests without a browser."""

import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from redrive.cli.main import app
from tests.dashboard.stage import running_browser


def test_without_the_extra_the_command_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "redrive.dashboard.application", raising=False)
    monkeypatch.setitem(sys.modules, "nicegui", None)

    result = CliRunner().invoke(app, ["dashboard"])

    assert result.exit_code == 1
    assert "pip install 'redrive[dashboard]'" in result.stderr


def test_no_other_command_imports_the_dashboard() -> None:
    assert "nicegui" not in {name.partition(".")[0] for name in _imported_by_the_command_line()}


def _imported_by_the_command_line() -> list[str]:
    program = "import sys, redrive.cli.main; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


async def test_without_a_browser_tests_are_skipped_and_fail_where_one_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Chromium is installed"):
        await running_browser().__aenter__()

    monkeypatch.setenv("REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="no Chromium is installed"):
        await running_browser().__aenter__()
