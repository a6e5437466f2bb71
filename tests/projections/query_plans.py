"""SQLite's query plans."""

from collections.abc import Callable, Sequence

from projections.sql import BulkRows, Micros, Parameters, Row, Sql
from server.eventstore.sqlite.sql import with_bulk_rows
from tests.projections.driven_store import DrivenStore


class ExplainingSql:
    """Runs queries, and collects the query plan of each statement."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.log_position = sql.log_position
        self.steps: list[str] = []

    def execute(self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None) -> None:
        raise NotImplementedError

    def rows(
        self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None
    ) -> Sequence[Row]:
        full_statement, bound = statement, parameters or {}
        if given is not None:
            full_statement, bound = with_bulk_rows(statement, given.columns), {**bound, "given": given.as_json()}
        self.steps += [row["detail"] for row in self._sql.rows(f"EXPLAIN QUERY PLAN {full_statement}", bound)]
        return self._sql.rows(statement, parameters, given)

    def clock(self) -> Micros:
        return self._sql.clock()

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        return next(iter(self.rows(statement, parameters)), None)


def plan_of(db: DrivenStore, query: Callable[[Sql], object]) -> Sequence[str]:
    """Return the plan steps of all statements of a query."""

    def explained(sql: Sql) -> Sequence[str]:
        explaining = ExplainingSql(sql)
        query(explaining)
        return explaining.steps

    return db.ask(explained)
