"""Compare Redrive with task queues on the same job: `python -m bench`, or `make bench`, which also installs the queues.

The job sends one message to each recipient and stores a durable status for each. The endpoint refuses the first attempt
for 5 percent of the recipients. The contenders take turns. A run takes about 25 minutes. `--quick` takes two minutes:
it checks that everything runs, and its figures are not significant.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contenders import CONTENDERS
from bench.contenders.contender import Contender
from bench.contenders.ours import Ours
from bench.endpoint import running_endpoint
from bench.folder import ON_DISK, temporary_folder
from bench.job import FAILING_SHARE
from bench.results import Results, Run, empty_results
from bench.rounds import Turn, run_rounds
from bench.tables import tables


async def measure(options: argparse.Namespace, results: Results) -> None:
    """Run all turns, and print each result as it arrives."""
    _end_on_sigterm()
    turns = _turns(options, _present(options.only))
    with temporary_folder(options.folder) as folder:
        async with running_endpoint(folder, options.failing_share) as endpoint:
            async for run in run_rounds(options.rounds, turns, endpoint, folder):
                results.runs.append(run)
                _say(_line(run))


def _end_on_sigterm() -> None:
    """Handle SIGTERM as SIGINT, so that the child processes are stopped."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _present(only: Sequence[str]) -> Sequence[Contender]:
    wanted = [contender for contender in CONTENDERS if not only or contender.name in only]
    for contender in wanted:
        if reason := contender.missing():
            _say(f"Skipping {contender.name}: {reason}")
    return [contender for contender in wanted if not contender.missing()]


def _turns(options: argparse.Namespace, contenders: Sequence[Contender]) -> Sequence[Turn]:
    turns = [
        Turn(contender, options.recipients, delay_ms) for delay_ms in options.delays_ms for contender in contenders
    ]
    if options.many:
        turns += [Turn(contender, options.many, 0.0) for contender in contenders if isinstance(contender, Ours)]
    return turns


def _line(run: Run) -> str:
    figures = run.figures
    return (
        f"round {run.round}: {run.contender:20} {figures.messages:7,} messages, {run.delay_ms:g} ms delay: "
        f"{figures.messages_per_second:6,.0f}/s, {figures.cpu_seconds_per_thousand:.3f} CPU s per 1,000, "
        f"{figures.peak_memory_bytes / 1e6:.0f} MB"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 500 messages")
    parser.add_argument("--only", nargs="+", default=[], choices=[contender.name for contender in CONTENDERS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipients", type=int, default=5_000, help="messages per run of every contender")
    parser.add_argument("--many", type=int, default=100_000, help="messages of additional runs of Redrive; 0 = none")
    parser.add_argument(
        "--delays-ms", type=float, nargs="+", default=[0.0, 50.0], help="of the endpoint, one table each"
    )
    parser.add_argument("--failing-share", type=float, default=FAILING_SHARE, help="share of recipients refused once")
    parser.add_argument("--folder", default=ON_DISK, help="where the databases are stored; use a disk, not a RAM disk")
    parser.add_argument("--json", type=Path, default=Path(".bench/results.json"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.recipients, options.many = 1, 500, 0
    return options


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run the benchmark and print the tables."""
    options = _options(arguments)
    results = empty_results(options.failing_share)
    try:
        asyncio.run(measure(options, results))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    finally:
        results.save(options.json)
    for text in tables(results):
        _say(f"\n{text}")
    _say(f"\nResults of all runs: {options.json}")


if __name__ == "__main__":
    main()
