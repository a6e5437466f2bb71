"""The site holds the documents with links that work there, and the whole contract."""

import re
from pathlib import Path

import pytest

from docs.site import contract, prepare

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return contract.pages(contract.descriptors(ROOT))


@pytest.mark.parametrize(
    ("source", "link", "link_of_site"),
    [
        ("README.md", "[client](clients/README.md#from-python)", "[client](client.md#from-python)"),
        ("clients/README.md", "[security](../SECURITY.md)", "[security](project/security.md)"),
        ("docs/access.md", "[036](decisions/036-documentation-site.md)", "[036](decisions/036-documentation-site.md)"),
        ("docs/decisions/036-documentation-site.md", "[it](../access.md#pages)", "[it](../access.md#pages)"),
        ("SECURITY.md", "[model](docs/security.md)", "[model](../security.md)"),
        ("README.md", "![picture](docs/images/preview.png)", "![picture](images/preview.png)"),
        ("README.md", "[`protos/`](protos), [settings](server/settings.py)", "`protos/`, settings"),
        (
            "README.md",
            "[there](https://example.org/a.md), [here](#use)",
            "[there](https://example.org/a.md), [here](#use)",
        ),
    ],
)
def test_a_link_leads_to_the_page_of_its_document(source: str, link: str, link_of_site: str) -> None:
    assert prepare.with_links_of_site(link, source) == link_of_site


def test_a_link_to_a_missing_file_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"README\.md links to docs/missing\.md"):
        prepare.with_links_of_site("[it](docs/missing.md)", "README.md")


def test_every_document_has_a_page_of_its_own(tmp_path: Path) -> None:
    written = prepare.write_documents(tmp_path)

    assert len(set(written)) == len(written)
    assert {"index.md", "security.md", "project/security.md", "client.md", "examples.md"} <= set(written)
    assert len([page for page in written if page.startswith("decisions/")]) == len(
        list((ROOT / "docs/decisions").glob("*.md"))
    )
    pages = [page for section in prepare.navigation(written, []).values() for page in section]
    assert sorted(pages) == sorted(written)


def test_the_reference_holds_every_rpc_type_field_and_value(reference: dict[str, str]) -> None:
    for file in contract.descriptors(ROOT).file:
        page = reference[f"{Path(file.name).stem}.md"]
        rpcs = [method.name for service in file.service for method in service.method]
        types = [*(message.name for message in file.message_type), *(enum.name for enum in file.enum_type)]
        fields = [field.name for message in file.message_type for field in message.field]
        values = [value.name for enum in file.enum_type for value in enum.value]
        assert [name for name in rpcs if f"### {name}\n" not in page] == []
        assert [name for name in types if f"## {name}\n" not in page] == []
        assert [name for name in (*fields, *values) if f"| `{name}` = " not in page] == []
        assert [name for name in rpcs if f"#{name.lower()})" not in reference["index.md"]] == []


def test_the_reference_shows_comments_and_links_types(reference: dict[str, str]) -> None:
    assert re.search(r"^\| `number` = 2 \| int32 \| \w.* \|$", reference["batch.md"], re.MULTILINE)
    assert "| `counts` = 7 | [Counts](message.md#counts) |" in reference["batch.md"]
    assert "| `variables` = 3 | map of string to string |" in reference["content.md"]
    assert "stream of [SendStreamRequest](delivery_service.md#sendstreamrequest) → " in reference["delivery_service.md"]
    assert "(one of `schedule`)" in reference["message.md"]
    assert "buf:lint" not in "".join(reference.values())
