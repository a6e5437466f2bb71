"""Limits on callers' connections, which leave file descriptors to deliveries."""

import pytest

from server.runtime.open_files import caller_connections, platform_connections


@pytest.mark.parametrize(("limit", "platform", "callers"), [(256, 85, 86), (1_024, 341, 583), (20_000, 500, 2_000)])
def test_callers_leave_file_descriptors_to_the_platform_and_the_database(
    limit: int, platform: int, callers: int
) -> None:
    assert platform_connections(limit) == platform
    assert caller_connections(limit, 2_000) == callers
    assert platform + callers <= limit - min(100, limit // 3)
