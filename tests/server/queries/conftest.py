from tests.server.commands.conftest import harness

__all__ = ["harness"]
