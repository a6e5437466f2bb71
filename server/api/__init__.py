"""The gRPC API: interceptors, servicers, mapping of requests and responses, and validation of requests."""
