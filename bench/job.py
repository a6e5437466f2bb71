"""The job of all contenders: one message to each recipient; the endpoint refuses some first attempts."""

FAILING_SHARE = 0.05  # share of recipients whose first attempt fails; --failing-share changes it
PAGES = 20
TOKEN = "EAAG-bench"  # noqa: S105 - the endpoint accepts any token
TEXT = "Hello {{name}}, your order is on its way."
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def people(first: int, count: int) -> list[str]:
    """Return this many recipient ids, the same ones in every run."""
    return [f"p{number}" for number in range(first, first + count)]


def name_of(person: str) -> str:
    """Return the name that is filled into the text."""
    return f"Name {person}"


def page_of(person: str) -> str:
    """Return the page that sends to this recipient."""
    return f"page{int(person[1:]) % PAGES}"


def path_of(person: str) -> str:
    """Return the path for messages to this recipient, relative to the endpoint's address."""
    return f"{page_of(person)}/messages"


def body_of(person: str) -> dict[str, object]:
    """Return the request body for one recipient in the platform's format."""
    text = TEXT.replace("{{name}}", name_of(person))
    return {"recipient": {"id": person}, "messaging_type": "UPDATE", "message": {"text": text, "metadata": person}}
