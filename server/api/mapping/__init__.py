"""Mapping of requests to commands and filters, and of results to responses."""
