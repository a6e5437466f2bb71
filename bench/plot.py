"""Draw the results: `.venv-bench/bin/python -m bench.plot results.json performance.svg`."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

Figures = dict[str, float]
Run = dict[str, Any]  # in the format of bench.results

COLOURS = {"ours": "#1b6ca8", "loop": "#9a9a9a"}
PEER_COLOUR = "#c8553d"
COLUMNS: Sequence[tuple[str, Callable[[Figures], float], str]] = (
    ("messages per second", lambda run: run["messages"] / run["seconds"], ",.0f"),
    (
        "CPU seconds per 1,000 messages",
        lambda run: (run["worker_cpu_seconds"] + run["store_cpu_seconds"]) / run["messages"] * 1_000,
        ".2f",
    ),
)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw one row per delay, for the number of messages that all contenders ran: medians and extremes."""
    fewest = min(run["figures"]["messages"] for run in runs)
    runs = [run for run in runs if run["figures"]["messages"] == fewest]
    delays = list(dict.fromkeys(run["delay_ms"] for run in runs))
    mpl.rcParams |= {"svg.hashsalt": "redrive", "svg.fonttype": "none", "font.size": 9}
    figure, grid = plt.subplots(
        len(delays), 2, figsize=(10, 3.6 * len(delays)), sharex="col", sharey=True, squeeze=False
    )
    for row, delay in zip(grid, delays, strict=True):
        for axes, column in zip(row, COLUMNS, strict=True):
            _draw_column(axes, [run for run in runs if run["delay_ms"] == delay], *column)
        row[0].set_title(f"endpoint delay {delay:g} ms, {fewest:,.0f} messages", loc="left")
    grid[0][0].invert_yaxis()  # the first contender at the top
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _draw_column(axes: Any, runs: Sequence[Run], label: str, value: Callable[[Figures], float], form: str) -> None:
    names = list(dict.fromkeys(run["contender"] for run in runs))
    for place, name in enumerate(names):
        seen = [value(run["figures"]) for run in runs if run["contender"] == name]
        colour = COLOURS.get(name.partition("-")[0], PEER_COLOUR)
        axes.plot([min(seen), max(seen)], [place, place], color=colour, linewidth=2)
        axes.plot(median(seen), place, "o", color=colour)
        axes.annotate(f"{median(seen):{form}}", (max(seen), place), xytext=(7, -3), textcoords="offset points")
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.set_xlabel(label)
    axes.tick_params(labelbottom=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and write the image."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("image", type=Path)
    options = parser.parse_args(arguments)
    draw(json.loads(options.results.read_bytes())["runs"], options.image)


if __name__ == "__main__":
    main()
