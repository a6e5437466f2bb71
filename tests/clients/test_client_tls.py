"""TLS of the client."""

import datetime
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from redrive import Client, RedriveError
from redrive.connection import Backoff
from redrive.v1.delivery_service_pb2 import GetMessageResponse
from redrive.v1.message_pb2 import Message

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer


def certificate() -> tuple[bytes, bytes]:
    """Return a new key and a self-signed certificate for localhost, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, signed.public_bytes(encoding)


async def test_trusted_certificate_is_accepted(server: "ScriptedServer") -> None:
    key, trusted = certificate()
    await server.stop()
    await server.start(grpc.ssl_server_credentials([(key, trusted)]))
    server.answer("GetMessage", GetMessageResponse(message=Message(id="m1")))

    async with Client(f"localhost:{server.port}", root_certificates=trusted) as client:
        assert (await client.get_message("m1")).id == "m1"


async def test_untrusted_certificate_is_refused(server: "ScriptedServer") -> None:
    key, presented = certificate()
    _, trusted = certificate()
    await server.stop()
    await server.start(grpc.ssl_server_credentials([(key, presented)]))

    async with Client(f"localhost:{server.port}", root_certificates=trusted) as client:
        client._connection.backoff = Backoff(attempts=1)
        with pytest.raises(RedriveError):
            await client.get_message("m1")

    assert not server.requests


@pytest.mark.parametrize("token", ["two\nlines", "café"])
async def test_invalid_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ValueError, match="token") as raised:
        Client("127.0.0.1:1", token=token)

    assert token not in str(raised.value)
