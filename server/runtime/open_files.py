"""File descriptors: as many as the system grants, a part of them kept back from callers' connections."""

import resource

import structlog

logger = structlog.get_logger()

_PLATFORM = 500  # connections to the platform, where there are enough descriptors
_OTHERS = 100  # of the database, files, the metrics page, and of gRPC itself
_FEW = 16
_ENOUGH = 65_536


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, or to 65,536; return the limit from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > _ENOUGH:
        hard = max(soft, _ENOUGH)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        except (OSError, ValueError):
            logger.warning("open_files_not_raised", soft=soft, hard=hard)
            return soft
    return max(soft, hard)


def platform_connections(limit: int) -> int:
    """How many connections to the platform a limit of open files leaves room for: a third of few descriptors."""
    return max(_FEW, min(_PLATFORM, limit // 3))


def caller_connections(limit: int, wanted: int) -> int:
    """How many connections of callers are taken: no more than leave deliveries and the database theirs."""
    return max(_FEW, min(wanted, limit - platform_connections(limit) - min(_OTHERS, limit // 3)))
