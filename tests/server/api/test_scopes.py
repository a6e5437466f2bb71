"""The table from rpcs to scopes."""

from server.api.interceptors.scopes import NEEDED
from server.auth.caller import Scope
from tests.server.api.rpcs import RPCS, path


def test_every_rpc_of_the_contract_needs_a_scope_and_no_other_stands_in_the_table() -> None:
    assert set(NEEDED) == {path(rpc) for rpc in RPCS}


def test_every_scope_is_needed_somewhere() -> None:
    assert set(NEEDED.values()) == set(Scope)
