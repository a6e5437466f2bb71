"""Asks the server in this container whether it serves, as gRPC health checking has it; exit code 0 when it does.

Where there is TLS it only sees whether the server listens: which certificate to trust or to show it cannot know.
"""

import os
import socket
import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

SECONDS = 4


def listens(port: str) -> bool:
    """It takes connections; one that drains does not."""
    try:
        socket.create_connection(("127.0.0.1", int(port)), SECONDS).close()
    except OSError:
        return False
    return True


def serves(port: str) -> bool:
    """It says that it serves."""
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            status = HealthStub(channel).Check(HealthCheckRequest(), timeout=SECONDS).status
    except grpc.RpcError:
        return False
    return bool(status == HealthCheckResponse.SERVING)


if __name__ == "__main__":
    port = os.environ.get("REDRIVE_LISTEN", "127.0.0.1:50051").rpartition(":")[2]
    is_well = listens(port) if os.environ.get("REDRIVE_TLS_CERT") else serves(port)
    sys.exit(0 if is_well else 1)
