"""Checks the code for security problems with bandit; the exit code is 1 if there is a finding that is not accepted.

Ruff's S rules cover many of bandit's rules, but not all. A statement with `# noqa: S608 - reason` is accepted for B608
too. Findings of low severity (an assert, a constant called TOKEN) are left to ruff.
"""

import ast
import json
import subprocess  # nosec B404 - starts bandit with fixed arguments
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDERS = ("domain", "projections", "server", "clients/redrive", "demo", "bench", "deploy", "examples")
GENERATED = "clients/redrive/v1"


def findings(folders: Sequence[str]) -> list[dict[str, Any]]:
    """Return bandit's findings; raise RuntimeError if bandit could not check every file."""
    command = (sys.executable, "-m", "bandit", "--quiet", "--recursive", "--severity-level=medium", "--format=json")
    ran = subprocess.run((*command, f"--exclude={GENERATED}", *folders), capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    report: dict[str, list[Any]] = json.loads(ran.stdout) if ran.stdout else {"errors": [ran.stderr]}
    if report["errors"]:
        raise RuntimeError(f"bandit: {report['errors']}")
    return report["results"]


def is_accepted(finding: dict[str, Any]) -> bool:
    """Return whether the statement of a finding has a `noqa` comment for the same rule."""
    source = Path(finding["filename"]).read_text(encoding="utf-8")
    lines = source.splitlines()
    statements = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= finding["line_number"] <= (node.end_lineno or node.lineno)
    ]
    smallest = min(statements, key=lambda node: (node.end_lineno or node.lineno) - node.lineno)
    statement = "\n".join(lines[smallest.lineno - 1 : smallest.end_lineno])
    return f"noqa: {finding['test_id'].replace('B', 'S')}" in statement


def report_lines(folders: Sequence[str]) -> Iterator[str]:
    """Yield a line for each finding that is not accepted."""
    for finding in findings(folders):
        if not is_accepted(finding):
            place = f"{finding['filename']}:{finding['line_number']}"
            yield f"{place}: {finding['test_id']} {finding['issue_text']}\n"


if __name__ == "__main__":
    lines = list(report_lines(sys.argv[1:] or FOLDERS))
    sys.stderr.writelines(lines)
    sys.exit(1 if lines else 0)
