"""Asks the package index's advisory service about every locked package; exit code 1 for a known vulnerability.

Where the service is out of reach, or knows none of the packages (a mirror without it), that is said, and nothing fails.
"""

import json
import subprocess  # nosec B404 - starts pip-audit, with nothing from outside
import sys
from collections.abc import Sequence
from typing import Any

SECONDS = 60


def asked(lock: str) -> list[dict[str, Any]] | None:
    """What the service says of each package of a lock file; None when it cannot be reached."""
    command = (sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", f"--requirement={lock}")
    options = ("--format=json", "--progress-spinner=off", "--timeout=5")
    try:
        ran = subprocess.run((*command, *options), capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - our own words
    except subprocess.TimeoutExpired:
        return None
    try:
        packages: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return packages


def vulnerable(packages: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each known vulnerability."""
    return [
        f"{package['name']} {package['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or '-'}"
        for package in packages
        for known in package.get("vulns", ())
    ]


def verdict(lock: str, packages: Sequence[dict[str, Any]] | None) -> tuple[int, str]:
    """The exit code, and what to say."""
    if packages is None:
        return 0, f"{lock}: NOT AUDITED, the advisory service cannot be reached"
    unknown = sum("skip_reason" in package for package in packages)
    if unknown == len(packages):
        return 0, f"{lock}: NOT AUDITED, the package index in use here answers no questions about advisories"
    if found := vulnerable(packages):
        return 1, "\n".join((f"{lock}: {len(found)} known vulnerabilities", *found))
    return 0, f"{lock}: no known vulnerability in {len(packages) - unknown} packages; {unknown} could not be looked up"


if __name__ == "__main__":
    ends = [verdict(lock, asked(lock)) for lock in sys.argv[1:]]
    sys.stderr.writelines(f"{words}\n" for _, words in ends)
    sys.exit(max((code for code, _ in ends), default=0))
