"""One person to send to."""

from collections.abc import Mapping

import msgspec


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """A person by page-scoped id, with what fills in the text."""

    id: str
    name: str = ""
    variables: Mapping[str, str] = {}

    def fillings(self) -> Mapping[str, str]:
        """The variables that a text may ask for, `name` included (a variable of that name wins)."""
        return {"name": self.name, **self.variables}
