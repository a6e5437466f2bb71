"""Why a page waits for a while, and until when."""

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.elements import Tag, time_of
from redrive.dashboard.formats import moment
from redrive.v1.page_pb2 import PagePause


class PauseNote:
    """Filled again and again; hidden while the page is not paused."""

    def __init__(self) -> None:
        with Tag("div", "", "note") as self._box:
            with Tag("p"):
                Tag("span", "Paused until ")
                self._until = time_of(Timestamp())
            self._reason = Tag("p")
        self._box.show(when=False)

    def show(self, pause: PagePause | None) -> None:
        """Show why nothing leaves, and until when."""
        self._box.show(when=pause is not None)
        if pause is None:
            return
        self._until.attributes(datetime=moment(pause.until_time))
        reason = pause.reason or "No reason was given."
        self._reason.say(f"{reason} Sending goes on then by itself; releasing the page ends the pause.")
