"""The sandbox and the server of the end-to-end tests."""

from tests.e2e.conftest import sandbox, sandbox_port, server

__all__ = ["sandbox", "sandbox_port", "server"]
