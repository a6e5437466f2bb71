"""One person to send to."""

from collections.abc import Mapping

import msgspec


class Recipient(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person by page-scoped id, with what fills in the text.

    The garbage collector passes it over: it holds nothing but texts, and thousands of them come at once.
    """

    id: str
    name: str = ""
    variables: Mapping[str, str] = {}

    def fillings(self) -> Mapping[str, str]:
        """The variables that a text may ask for, `name` included (a variable of that name wins)."""
        return {"name": self.name, **self.variables}
