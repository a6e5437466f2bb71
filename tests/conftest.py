"""Fixtures for every test."""

from tests.databases import database_url
from tests.postgres import postgres_server, postgres_url

__all__ = ["database_url", "postgres_server", "postgres_url"]
