"""Results as Markdown tables: the figures of each contender, and ratios between contenders."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import median
from typing import NamedTuple

from bench.figures import Figures
from bench.results import Results

OURS = ("ours-sqlite-single", "ours-sqlite-batch", "ours-postgres-single", "ours-postgres-batch")
PEERS = ("celery-prefork", "celery-threads", "dramatiq-16", "dramatiq-32", "procrastinate")


class Ratio(NamedTuple):
    """Ratio of two medians, with the smallest and largest ratio within one round."""

    middle: float
    low: float
    high: float


def pairs() -> Iterator[tuple[str, str]]:
    """Yield the pairs to compare: Redrive and each queue, Redrive and the bare loop, PostgreSQL and SQLite."""
    for ours in OURS:
        for peer in PEERS:
            yield ours, peer
    for mode in ("single", "batch"):
        yield f"ours-sqlite-{mode}", f"loop-{mode}"
        yield f"ours-postgres-{mode}", f"ours-sqlite-{mode}"


def ratio(ours: Sequence[Figures], other: Sequence[Figures], value: Callable[[Figures], float]) -> Ratio:
    """Return the first contender's value divided by the other's."""
    upper, lower = [value(figures) for figures in ours], [value(figures) for figures in other]
    within = [over / under for over, under in zip(upper, lower, strict=False)]
    return Ratio(median(upper) / median(lower), min(within), max(within))


def tables(results: Results) -> Iterator[str]:
    """Yield a table of figures and a table of ratios for each delay."""
    for delay_ms in dict.fromkeys(run.delay_ms for run in results.runs):
        yield f"Endpoint delay {delay_ms:g} ms. Medians (smallest to largest)."
        yield _table(_figures(results, delay_ms))
        if ratios := list(_ratios(results, delay_ms)):
            yield f"Endpoint delay {delay_ms:g} ms. Ratios of medians (smallest to largest within a round)."
            yield _table([("ours", "against", "messages", "messages/s", "CPU"), *ratios], words=2)


def _figures(results: Results, delay_ms: float) -> Sequence[Sequence[str]]:
    rows = [
        (
            "contender",
            "messages",
            "messages/s",
            "CPU s per 1,000",
            "of which workers",
            "peak memory, MB",
            "endpoint's load",
        )
    ]
    cases = dict.fromkeys((r.contender, r.figures.messages) for r in results.runs if r.delay_ms == delay_ms)
    for contender, messages in cases:
        seen = results.of(contender, messages, delay_ms)
        rows.append(
            (
                contender,
                f"{messages:,}",
                _spread([figures.messages_per_second for figures in seen], ",.0f"),
                _spread([figures.cpu_seconds_per_thousand for figures in seen], ".3f"),
                f"{median(figures.worker_cpu_seconds_per_thousand for figures in seen):.3f}",
                f"{median(figures.peak_memory_bytes for figures in seen) / 1e6:,.0f}",
                f"{median(figures.endpoint_load for figures in seen):.0%}",
            )
        )
    return rows


def _ratios(results: Results, delay_ms: float) -> Iterator[Sequence[str]]:
    sizes = dict.fromkeys(run.figures.messages for run in results.runs)
    for messages, names in product(sizes, pairs()):
        ours, other = (results.of(name, messages, delay_ms) for name in names)
        if ours and other:
            speed = ratio(ours, other, lambda figures: figures.messages_per_second)
            cpu = ratio(ours, other, lambda figures: figures.cpu_seconds_per_thousand)
            ratios = (f"{found.middle:.2f} ({found.low:.2f} to {found.high:.2f})" for found in (speed, cpu))
            yield *names, f"{messages:,}", *ratios


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _table(rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Format rows as Markdown; the first `words` columns are left-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if place < words else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    lines = [
        " | ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(f"| {line} |" for line in lines)
