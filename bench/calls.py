"""Loop of a calling process: report that it is ready, then run one campaign for each line of stdin."""

import json
import sys
from collections.abc import Callable


def serve(campaign: Callable[[int, int], float]) -> None:
    """Print "ready"; then for each JSON line [first recipient, count] print the seconds that the campaign took."""
    _say("ready")
    for line in sys.stdin:
        _say(campaign(*json.loads(line)))


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
