"""The server's credentials: each handshake uses the certificates as they are then."""

from typing import Any

import grpc

from server.access.certificates import Certificates, Pems


def credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """What a secure port needs."""
    made: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        _configuration(certificates.pems),
        lambda: _renewed(certificates),
        require_client_authentication=certificates.are_asked_of_callers,
    )
    return made


def _renewed(certificates: Certificates) -> Any:
    """A ServerCertificateConfiguration, asked for in every handshake; None: as before, which the stubs do not know."""
    pems = certificates.renewed()
    return None if pems is None else _configuration(pems)


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.chain)], root_certificates=pems.client_ca)
