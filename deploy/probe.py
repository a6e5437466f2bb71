"""Container health check: calls the gRPC health service of this container's server; the exit code is 0 if it serves.

With TLS it only checks whether the server accepts connections, because it does not know which certificates to use.
"""

import os
import socket
import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

SECONDS = 4


def listens(port: str) -> bool:
    """Return whether the server accepts connections; a server that drains does not."""
    try:
        socket.create_connection(("127.0.0.1", int(port)), SECONDS).close()
    except OSError:
        return False
    return True


def serves(port: str) -> bool:
    """Return whether the health service answers SERVING."""
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            status = HealthStub(channel).Check(HealthCheckRequest(), timeout=SECONDS).status
    except grpc.RpcError:
        return False
    return bool(status == HealthCheckResponse.SERVING)


if __name__ == "__main__":
    port = os.environ.get("REDRIVE_LISTEN", "127.0.0.1:50051").rpartition(":")[2]
    is_healthy = listens(port) if os.environ.get("REDRIVE_TLS_CERT") else serves(port)
    sys.exit(0 if is_healthy else 1)
