"""Result tables of the bench: medians, ranges, and ratios within a round."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench.figures import Figures
from bench.results import Results, Run
from bench.tables import ratio, tables


def _figures(seconds: float, cpu: float = 1.0, messages: int = 1_000) -> Figures:
    return Figures(
        messages=messages,
        seconds=seconds,
        worker_cpu_seconds=cpu * 0.75,
        store_cpu_seconds=cpu * 0.25,
        peak_memory_bytes=50_000_000,
        endpoint_cpu_seconds=seconds / 2,
    )


def _results(**seconds: list[float]) -> Results:
    runs = [
        Run(contender=name.replace("_", "-"), delay_ms=0.0, round=number, figures=_figures(took))
        for name, turns in seconds.items()
        for number, took in enumerate(turns, start=1)
    ]
    return Results(time=datetime(2026, 1, 1, tzinfo=UTC), machine={}, versions={}, runs=runs)


def test_figures_include_speed_and_cpu_time_of_workers_and_store() -> None:
    figures = _figures(seconds=2.0, cpu=0.4)

    assert figures.messages_per_second == 500
    assert figures.cpu_seconds_per_thousand == pytest.approx(0.4)
    assert figures.worker_cpu_seconds_per_thousand == pytest.approx(0.3)
    assert figures.endpoint_load == 0.5


def test_a_ratio_compares_medians_and_gives_the_extremes_within_a_round() -> None:
    ours, other = [_figures(1), _figures(2), _figures(4)], [_figures(4), _figures(8), _figures(8)]

    found = ratio(ours, other, lambda figures: figures.messages_per_second)

    assert found == (4.0, 2.0, 4.0)


def test_tables_show_every_contender_and_every_pair_that_ran() -> None:
    results = _results(ours_sqlite_single=[0.5, 0.5], celery_prefork=[2.0, 2.5])

    [_, figures, _, ratios] = tables(results)

    assert "| ours-sqlite-single |    1,000 | 2,000 (2,000 to 2,000) |" in figures
    assert "| celery-prefork     |    1,000 |       450 (400 to 500) |" in figures
    assert ratios.splitlines()[2:] == [
        "| ours-sqlite-single | celery-prefork |    1,000 | 4.44 (4.00 to 5.00) | 1.00 (1.00 to 1.00) |"
    ]


def test_results_are_read_back_from_their_file(tmp_path: Path) -> None:
    results = _results(celery_prefork=[2.0])

    results.save(tmp_path / "new" / "results.json")

    kept = (tmp_path / "new" / "results.json").read_bytes()
    assert msgspec.json.decode(kept, type=Results) == results
