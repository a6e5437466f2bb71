"""The job that all do: one message to each of so many people, of whom the endpoint refuses some the first time."""

FAILING_SHARE = 0.05  # of the people, whose first attempt fails and whose second does not; --failing-share: another
PAGES = 20
TOKEN = "EAAG-bench"  # noqa: S105 - the endpoint takes any
TEXT = "Hello {{name}}, your order is on its way."
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def people(first: int, count: int) -> list[str]:
    """The ids of so many people, the same ones every time."""
    return [f"p{number}" for number in range(first, first + count)]


def name_of(person: str) -> str:
    """The name that goes into the text."""
    return f"Name {person}"


def page_of(person: str) -> str:
    """The page that sends to this person."""
    return f"page{int(person[1:]) % PAGES}"


def path_of(person: str) -> str:
    """Where a message to this person is posted, below the endpoint's address."""
    return f"{page_of(person)}/messages"


def body_of(person: str) -> dict[str, object]:
    """The message to one person, as the platform wants it."""
    text = TEXT.replace("{{name}}", name_of(person))
    return {"recipient": {"id": person}, "messaging_type": "UPDATE", "message": {"text": text, "metadata": person}}
