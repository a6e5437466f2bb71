"""The table of scopes per rpc."""

from server.api.interceptors.scopes import REQUIRED_SCOPES
from server.auth.caller import Scope
from tests.server.api.rpcs import RPCS, path


def test_every_rpc_of_the_contract_and_no_other_has_a_scope() -> None:
    assert set(REQUIRED_SCOPES) == {path(rpc) for rpc in RPCS}


def test_every_scope_is_used() -> None:
    assert set(REQUIRED_SCOPES.values()) == set(Scope)
