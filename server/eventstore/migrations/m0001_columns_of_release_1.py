"""Add the columns that tables of release 0 lack. Databases of unreleased builds lack some of them, or none."""

from projections.sql import Sql
from server.eventstore.migrations.columns import add_columns

COLUMNS = {
    "messages": (
        "is_paused INTEGER NOT NULL DEFAULT 0",
        "schedule_time BIGINT NOT NULL DEFAULT 0",
        "retry_delay TEXT NOT NULL DEFAULT ''",
        "next_retry_time BIGINT",
        "is_cleaned INTEGER NOT NULL DEFAULT 0",
        "canary_round INTEGER NOT NULL DEFAULT 0",
        "is_archived INTEGER NOT NULL DEFAULT 0",
        "stop_policy TEXT NOT NULL DEFAULT ''",
        "recent_attempts BIGINT NOT NULL DEFAULT 0",
        "recent_failures BIGINT NOT NULL DEFAULT 0",
        "stop TEXT NOT NULL DEFAULT ''",
        "stop_time BIGINT",
        "replaced_round INTEGER NOT NULL DEFAULT 0",
        "automatic_from_batch INTEGER NOT NULL DEFAULT 0",
        "is_suspended INTEGER NOT NULL DEFAULT 0",
    ),
    "batches": ("due_time BIGINT NOT NULL DEFAULT 0",),
    "deliveries": (
        "has_receipt INTEGER NOT NULL DEFAULT 0",
        "delivered_time BIGINT",
        "read_time BIGINT",
    ),
    "recipients": (
        "is_erased INTEGER NOT NULL DEFAULT 0",
        "content_round INTEGER NOT NULL DEFAULT 0",
    ),
    "pages": (
        "is_held INTEGER NOT NULL DEFAULT 0",
        "hold_reason TEXT NOT NULL DEFAULT ''",
        "held_by TEXT NOT NULL DEFAULT ''",
        "hold_code INTEGER NOT NULL DEFAULT 0",
        "hold_subcode INTEGER NOT NULL DEFAULT 0",
        "hold_error_type TEXT",
        "hold_time BIGINT",
        "owner TEXT NOT NULL DEFAULT ''",
        "shared_with TEXT NOT NULL DEFAULT ' * '",
    ),
    "workers": ("release INTEGER NOT NULL DEFAULT 0",),
}


def apply(sql: Sql) -> bool:
    """Add the missing columns; return whether a table lacked any."""
    changed = [add_columns(sql, table, definitions) for table, definitions in COLUMNS.items()]
    return any(changed)
