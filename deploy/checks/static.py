"""Looks for insecure code with bandit; what was judged for ruff's rule of the same number is not told again.

Ruff's S rules are bandit's, but not all of them. A statement that says `# noqa: S608 - why` is judged for B608, too.
Findings of low severity (an assert, a constant called TOKEN) are left to ruff.
"""

import ast
import json
import subprocess  # nosec B404 - starts bandit, with nothing from outside
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDERS = ("domain", "projections", "server", "clients/redrive", "demo", "bench", "deploy")
GENERATED = "clients/redrive/v1"


def findings(folders: Sequence[str]) -> list[dict[str, Any]]:
    """What bandit finds; raises RuntimeError when it could not look at everything."""
    command = (sys.executable, "-m", "bandit", "--quiet", "--recursive", "--severity-level=medium", "--format=json")
    ran = subprocess.run((*command, f"--exclude={GENERATED}", *folders), capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    report: dict[str, list[Any]] = json.loads(ran.stdout) if ran.stdout else {"errors": [ran.stderr]}
    if report["errors"]:
        raise RuntimeError(f"bandit: {report['errors']}")
    return report["results"]


def is_judged(finding: dict[str, Any]) -> bool:
    """Somebody looked at it: the statement says so."""
    source = Path(finding["filename"]).read_text(encoding="utf-8")
    lines = source.splitlines()
    statements = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= finding["line_number"] <= (node.end_lineno or node.lineno)
    ]
    smallest = min(statements, key=lambda node: (node.end_lineno or node.lineno) - node.lineno)
    said = "\n".join(lines[smallest.lineno - 1 : smallest.end_lineno])
    return f"noqa: {finding['test_id'].replace('B', 'S')}" in said


def told(folders: Sequence[str]) -> Iterator[str]:
    """A line for each finding that nobody judged."""
    for finding in findings(folders):
        if not is_judged(finding):
            place = f"{finding['filename']}:{finding['line_number']}"
            yield f"{place}: {finding['test_id']} {finding['issue_text']}\n"


if __name__ == "__main__":
    lines = list(told(sys.argv[1:] or FOLDERS))
    sys.stderr.writelines(lines)
    sys.exit(1 if lines else 0)
