"""The inside of a process that calls: it gets ready, then runs a campaign for each line that it reads."""

import json
import sys
from collections.abc import Callable


def serve(campaign: Callable[[int, int], float]) -> None:
    """Says that it is ready, then reads a first person and a number of people, and answers with the seconds it took."""
    _say("ready")
    for line in sys.stdin:
        _say(campaign(*json.loads(line)))


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
