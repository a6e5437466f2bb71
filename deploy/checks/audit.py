"""Checks every locked package for known vulnerabilities with pip-audit; the exit code is 1 if there is one.

If the advisory service cannot be reached or knows none of the packages (a mirror without advisories), the check reports
that and passes.
"""

import json
import subprocess  # nosec B404 - starts pip-audit with fixed arguments
import sys
from collections.abc import Sequence
from typing import Any

SECONDS = 60


def audit_packages(lock: str) -> list[dict[str, Any]] | None:
    """Return pip-audit's result for each package of a lock file; None if the service cannot be reached."""
    command = (sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", f"--requirement={lock}")
    options = ("--format=json", "--progress-spinner=off", "--timeout=5")
    try:
        ran = subprocess.run((*command, *options), capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - fixed arguments
    except subprocess.TimeoutExpired:
        return None
    try:
        packages: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return packages


def vulnerability_lines(packages: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each known vulnerability."""
    return [
        f"{package['name']} {package['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or '-'}"
        for package in packages
        for known in package.get("vulns", ())
    ]


def summarize(lock: str, packages: Sequence[dict[str, Any]] | None) -> tuple[int, str]:
    """Return the exit code and the text for a lock file."""
    if packages is None:
        return 0, f"{lock}: NOT AUDITED, the advisory service cannot be reached"
    unknown = sum("skip_reason" in package for package in packages)
    if unknown == len(packages):
        return 0, f"{lock}: NOT AUDITED, the package index has no advisories"
    if found := vulnerability_lines(packages):
        return 1, "\n".join((f"{lock}: {len(found)} known vulnerabilities", *found))
    return 0, f"{lock}: no known vulnerability in {len(packages) - unknown} packages; {unknown} could not be looked up"


if __name__ == "__main__":
    summaries = [summarize(lock, audit_packages(lock)) for lock in sys.argv[1:]]
    sys.stderr.writelines(f"{text}\n" for _, text in summaries)
    sys.exit(max((code for code, _ in summaries), default=0))
