"""Settings that would give a secret away are refused."""

import pytest
from pydantic import ValidationError

from server.settings import Settings


@pytest.mark.parametrize(
    "url", ["http://graph.example/v25.0", "http://10.0.0.7:8090/v25.0", "http://localhost.example/"]
)
def test_tokens_do_not_go_over_a_network_in_the_clear(url: str) -> None:
    with pytest.raises(ValidationError, match="page tokens would go over the network in the clear"):
        Settings(graph_url=url)

    assert Settings(graph_url=url, graph_insecure=True).graph_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["https://graph.example/v25.0", "http://127.0.0.1:8090/v25.0", "http://[::1]:8090/v25.0"]
)
def test_tls_and_this_machine_are_good(url: str) -> None:
    assert Settings(graph_url=url).graph_url == url


def test_no_setting_shows_the_server_key() -> None:
    assert "a-key-in-base64" not in repr(Settings(secret_key="a-key-in-base64"))
