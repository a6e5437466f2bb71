"""Limits of open files: how many connections the process may have to the platform and from callers."""

import resource

import structlog

logger = structlog.get_logger()

_MAX_PLATFORM_CONNECTIONS = 500
_OTHER_FILES = 100  # the database, files, the metrics page, and gRPC's own
_MIN_CONNECTIONS = 16
_WANTED_LIMIT = 65_536


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard limit, at most 65,536, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > _WANTED_LIMIT:
        hard = max(soft, _WANTED_LIMIT)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        except (OSError, ValueError):
            logger.warning("open_files_not_raised", soft=soft, hard=hard)
            return soft
    return max(soft, hard)


def platform_connections(limit: int) -> int:
    """Return how many connections to the platform fit into a limit of open files: a third of it, at most 500."""
    return max(_MIN_CONNECTIONS, min(_MAX_PLATFORM_CONNECTIONS, limit // 3))


def caller_connections(limit: int, wanted: int) -> int:
    """Return how many connections of callers to accept: the wanted number, less if the platform's would not fit."""
    return max(_MIN_CONNECTIONS, min(wanted, limit - platform_connections(limit) - min(_OTHER_FILES, limit // 3)))
