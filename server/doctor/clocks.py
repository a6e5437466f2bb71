"""Do clocks agree? Retry-After dates, schedule times and signed tokens are told by this machine's."""

from datetime import timedelta

from server.doctor.finding import Finding, ok, problem, warning

CLOSE = timedelta(seconds=3)  # a Date header tells whole seconds, and is some time on its way
FAR = timedelta(seconds=60)

_MEND = "set the clocks by NTP (timedatectl set-ntp true), on this machine and on that"


def compared(whose: str, ahead: timedelta) -> Finding:
    """What it means that this machine's clock is so much ahead of another one."""
    if abs(ahead) <= CLOSE:
        return ok("clock", f"it agrees with {whose}")
    where = "ahead of" if ahead > timedelta(0) else "behind"
    words = f"this machine's clock is {abs(ahead).total_seconds():.0f} s {where} {whose}"
    return (warning if abs(ahead) <= FAR else problem)("clock", words, _MEND)
