"""How long to wait between two attempts of one call."""

import random
from typing import NamedTuple


class Backoff(NamedTuple):
    """Doubles from `first` to `longest` (seconds), for at most `attempts` attempts."""

    first: float = 0.1
    longest: float = 5.0
    attempts: int = 6

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failures: half to all of the step, and never less than the server asked for."""
        step = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        jittered = random.uniform(step / 2, step)  # noqa: S311 - spreads callers out, keeps no secret
        return max(jittered, retry_after or 0.0)
