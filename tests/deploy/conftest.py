"""Fixtures for deploy tests: a sandbox for real servers, and an in-process API."""

from tests.e2e.conftest import sandbox, sandbox_port
from tests.server.api.conftest import edge

__all__ = ["edge", "sandbox", "sandbox_port"]
