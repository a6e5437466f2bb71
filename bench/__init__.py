"""Benchmarks of the server, its log and its reads, and a comparison with task queues."""
