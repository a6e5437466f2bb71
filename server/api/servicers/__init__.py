"""Servicers: one class per gRPC service. They map the request, call a service, and map the result."""
