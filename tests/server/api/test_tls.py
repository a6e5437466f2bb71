"""TLS of the server."""

import asyncio
import ssl
from pathlib import Path

import grpc.aio
import pytest
from cryptography.hazmat.primitives import serialization

from redrive.v1.delivery_service_pb2 import ListMessagesRequest
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from server.auth.certificates import CertificateError, Certificates
from tests.server.api.edge import Edge, running_edge
from tests.server.api.known_callers import HOST, LISTED, Callers, guarded_edge, secure_wire
from tests.server.auth.certified import Authority, Certified


@pytest.fixture
def authority() -> Authority:
    return Authority()


async def presented_to(edge: Edge, authority: Authority) -> int:
    """Return the serial number of the server's certificate in a handshake."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.set_alpn_protocols(["h2"])
    port = int(edge.address.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    shown = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return int(shown, 16)


async def test_a_new_certificate_is_used_without_a_restart(authority: Authority, tmp_path: Path) -> None:
    certificates = Certificates(*authority.certify(HOST, HOST).write(tmp_path), None)
    async with running_edge(tmp_path, certificates=certificates) as edge:
        first = await presented_to(edge, authority)
        assert await presented_to(edge, authority) == first

        authority.certify(HOST, HOST).write(tmp_path)

        second = await presented_to(edge, authority)
        assert second != first
        assert await presented_to(edge, authority) == second


async def test_a_certificate_without_its_key_does_not_replace_a_valid_one(authority: Authority, tmp_path: Path) -> None:
    certificates = Certificates(*authority.certify(HOST, HOST).write(tmp_path), None)
    async with running_edge(tmp_path, certificates=certificates) as edge:
        first = await presented_to(edge, authority)
        following = authority.certify(HOST, HOST)

        (tmp_path / "server.pem").write_bytes(following.chain)
        assert await presented_to(edge, authority) == first

        following.write(tmp_path)
        assert await presented_to(edge, authority) != first


async def test_new_authorities_for_callers_are_used_without_a_restart(tmp_path: Path) -> None:
    callers, following = Callers(tmp_path), Authority()
    before, after = (authority.certify(LISTED, LISTED) for authority in (callers.authority, following))
    async with guarded_edge(callers, certificates=callers.certificates()) as edge:
        assert await is_accepted(edge, callers.authority, before)
        assert not await is_accepted(edge, callers.authority, after)

        fresh = tmp_path / "fresh.pem"
        fresh.write_bytes(following.certificate)
        fresh.replace(tmp_path / "authority.pem")

        assert await is_accepted(edge, callers.authority, after)
        assert not await is_accepted(edge, callers.authority, before)


async def is_accepted(edge: Edge, authority: Authority, mine: Certified) -> bool:
    async with secure_wire(edge, authority, mine) as wire:
        try:
            await DeliveryServiceStub(wire).ListMessages(ListMessagesRequest())
        except grpc.aio.AioRpcError:
            return False
    return True


def test_files_that_do_not_match_are_refused_by_the_names_of_their_settings(
    authority: Authority, tmp_path: Path
) -> None:
    chain, key = authority.certify(HOST).write(tmp_path)
    _, another = authority.certify(HOST).write(tmp_path, "another")
    nothing = tmp_path / "nothing"
    words = tmp_path / "words"
    words.write_text("no certificate")

    for files, setting in (
        ((nothing, key, None), "REDRIVE_TLS_CERT: .* cannot be read"),
        ((chain, nothing, None), "REDRIVE_TLS_KEY: .* cannot be read"),
        ((words, key, None), "REDRIVE_TLS_CERT and REDRIVE_TLS_KEY"),
        ((chain, another, None), "REDRIVE_TLS_CERT and REDRIVE_TLS_KEY"),
        ((chain, key, nothing), "REDRIVE_TLS_CLIENT_CA: .* cannot be read"),
        ((chain, key, words), "REDRIVE_TLS_CLIENT_CA: .* no certificates"),
    ):
        with pytest.raises(CertificateError, match=setting):
            Certificates(*files)


def test_a_key_with_a_password_is_refused_without_a_prompt(authority: Authority, tmp_path: Path) -> None:
    chain, key = authority.certify(HOST).write(tmp_path)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"a password")
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))

    with pytest.raises(CertificateError, match="REDRIVE_TLS_KEY"):
        Certificates(chain, key, None)
