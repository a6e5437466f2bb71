"""What came of a message's attempts over time, for a chart and for a table that says the same."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redrive.client import Client
from redrive.v1.batch_pb2 import Batch, BatchStatus

_MOST_STEPS = 40
_AROUND = 30 * 60 * 1000  # milliseconds on both sides of a step that is the only one: else the axis shows days
COLOURS = {"sent": "#2a9d5c", "failed": "#d1443c", "unconfirmed": "#e3a008"}
_BATCHES = 1_000  # with more of them the hours of the report are fine enough


class Step(NamedTuple):
    """What became known in a span that begins at a time."""

    start: datetime
    sent: int
    failed: int
    unconfirmed: int


async def outcomes_over_time(client: Client, message_id: str) -> list[Step]:
    """By the ends of batches where these are few, else by the hour."""
    batches = await client.list_batches(
        message_id, statuses=[BatchStatus.BATCH_STATUS_COMPLETED], page_size=_BATCHES
    ).page()
    if not batches.next_page_token:
        return in_steps([_step_of(batch) for batch in batches.batches])
    report = await client.get_delivery_report(message_id=message_id, page_size=1).page()
    hours = report.hours
    return in_steps([Step(_time(hour.start_time), hour.sent, hour.failed, hour.unconfirmed) for hour in hours])


def in_steps(known: Sequence[Step]) -> list[Step]:
    """At most so many spans of one length, the empty ones too."""
    if not known:
        return []
    ordered = sorted(known)
    first, last = ordered[0].start, ordered[-1].start
    count = min(_MOST_STEPS, len(ordered))
    length = (last - first) / count if count > 1 else last - first
    sums = [[0, 0, 0] for _ in range(count)]
    for step in ordered:
        place = min(count - 1, int((step.start - first) / length)) if length else 0
        sums[place] = [had + got for had, got in zip(sums[place], step[1:], strict=True)]
    return [Step(first + length * place, *entry) for place, entry in enumerate(sums)]


def chart(steps: Iterable[Step]) -> dict[str, Any]:
    """The options of a stacked bar chart; times as milliseconds, which the browser shows in the viewer's zone."""
    drawn = list(steps)
    return {
        "animation": False,
        "textStyle": {"fontFamily": "system-ui, sans-serif"},
        "legend": {"bottom": 0, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "confine": True},
        "grid": {"left": 8, "right": 16, "top": 16, "bottom": 36, "containLabel": True},
        "xAxis": _time_axis(drawn),
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "splitLine": {"lineStyle": {"color": "rgba(128, 140, 155, 0.25)"}},
        },
        "series": [_series(name, place + 1, colour, drawn) for place, (name, colour) in enumerate(COLOURS.items())],
    }


def _time_axis(steps: Sequence[Step]) -> dict[str, Any]:
    axis: dict[str, Any] = {"type": "time", "minInterval": 1000, "splitNumber": 4, "axisLabel": {"hideOverlap": True}}
    if steps and steps[0].start == steps[-1].start:
        only = steps[0].start.timestamp() * 1000
        axis |= {"min": only - _AROUND, "max": only + _AROUND}
    return axis


def _series(name: str, place: int, colour: str, steps: Sequence[Step]) -> dict[str, Any]:
    data = [[step.start.timestamp() * 1000, step[place]] for step in steps]
    return {
        "name": name.capitalize(),
        "type": "bar",
        "stack": "all",
        "barMaxWidth": 28,
        "itemStyle": {"color": colour},
        "data": data,
    }


def _step_of(batch: Batch) -> Step:
    return Step(_time(batch.end_time), batch.counts.sent, batch.counts.failed, batch.counts.unconfirmed)


def _time(stamp: Any) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return]
