"""A sandbox for the tests that run real servers, and an edge for those that only call one."""

from tests.e2e.conftest import sandbox, sandbox_port
from tests.server.api.conftest import edge

__all__ = ["edge", "sandbox", "sandbox_port"]
