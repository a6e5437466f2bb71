"""The checks of `make check` that are ours find what they are for."""

from pathlib import Path

import pytest

from deploy.checks import audit, static

FOUND = {"name": "left", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
CLEAN = {"name": "right", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "own", "skip_reason": "not found"}


def test_insecure_code_is_found_unless_its_line_was_judged(tmp_path: Path) -> None:
    insecure = '    sql.execute(f"SELECT * FROM {table}")'
    (tmp_path / "code.py").write_text(f"def query(sql, table):\n{insecure}\n{insecure}  # noqa: S608 - own words\n")

    [line] = static.told([str(tmp_path)])

    assert line.startswith(f"{tmp_path / 'code.py'}:2: B608")


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([FOUND, CLEAN, UNKNOWN], 1, "CVE-1, mended in 1.1"),
        ([CLEAN, UNKNOWN], 0, "no known vulnerability in 1 packages; 1 could not be looked up"),
        ([UNKNOWN], 0, "NOT AUDITED"),
        (None, 0, "NOT AUDITED"),
    ],
)
def test_only_a_known_vulnerability_fails_the_audit(
    packages: list[dict[str, object]] | None, code: int, words: str
) -> None:
    ended, said = audit.verdict("a.lock", packages)

    assert ended == code
    assert words in said
