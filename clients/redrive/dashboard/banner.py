"""What stands over every page while the server does not answer."""

from redrive.dashboard.elements import Tag, icon
from redrive.dashboard.presence import Presence


class Banner:
    """Comes and goes by itself."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        with Tag("div", "", "contents", role="status"), Tag("div", "", "banner") as box:
            icon("cloud_off")
            Tag("span", "The server does not answer. You see what was known last; it is tried again by itself.")
        self._box = box
        self.follow()

    def follow(self) -> None:
        """Shows what is known of the server."""
        self._box.show(when=not self._presence.is_here)
