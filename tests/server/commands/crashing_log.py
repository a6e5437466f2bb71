"""A log that simulates a killed process."""

from server.eventstore.commit import Commit, CommitResult, EventLog


class Killed(Exception):
    """The process was killed."""


class CrashingLog:
    """A log that fails at its n-th commit, right before or right after the write."""

    def __init__(self, log: EventLog, *, at: int, is_written: bool) -> None:
        self.load, self.read, self.listen, self.recorded_in = log.load, log.read, log.listen, log.recorded_in
        self.compute = log.compute
        self.write = log.write
        self._commit = log.commit
        self._left = at
        self._is_written = is_written

    async def commit(self, commit: Commit) -> CommitResult:
        self._left -= 1
        if self._left >= 0:
            return await self._commit(commit)
        if self._is_written:
            await self._commit(commit)
        raise Killed
