"""Outcomes of a message's attempts over time, for a chart and a table."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redrive.client import Client
from redrive.v1.batch_pb2 import Batch, BatchStatus

_MAX_BUCKETS = 40
_AROUND = 30 * 60 * 1000  # milliseconds on both sides of a single bucket; without them the axis spans days
COLOURS = {"sent": "#2a9d5c", "failed": "#d1443c", "unconfirmed": "#e3a008"}
_BATCHES = 1_000  # with more batches, the report's hours are fine enough


class OutcomeBucket(NamedTuple):
    """The outcomes recorded in a span of time that begins at `start`."""

    start: datetime
    sent: int
    failed: int
    unconfirmed: int


async def load_outcomes(client: Client, message_id: str) -> list[OutcomeBucket]:
    """Return outcomes by the ends of batches if there are few batches, else by the hour."""
    batches = await client.list_batches(
        message_id, statuses=[BatchStatus.BATCH_STATUS_COMPLETED], page_size=_BATCHES
    ).page()
    if not batches.next_page_token:
        return into_buckets([_bucket_of(batch) for batch in batches.batches])
    report = await client.get_delivery_report(message_id=message_id, page_size=1).page()
    hours = report.hours
    return into_buckets(
        [OutcomeBucket(_time(hour.start_time), hour.sent, hour.failed, hour.unconfirmed) for hour in hours]
    )


def into_buckets(known: Sequence[OutcomeBucket]) -> list[OutcomeBucket]:
    """Return the outcomes in at most 40 spans of equal length, empty ones included."""
    if not known:
        return []
    ordered = sorted(known)
    first, last = ordered[0].start, ordered[-1].start
    count = min(_MAX_BUCKETS, len(ordered))
    length = (last - first) / count if count > 1 else last - first
    sums = [[0, 0, 0] for _ in range(count)]
    for bucket in ordered:
        index = min(count - 1, int((bucket.start - first) / length)) if length else 0
        sums[index] = [total + new for total, new in zip(sums[index], bucket[1:], strict=True)]
    return [OutcomeBucket(first + length * index, *entry) for index, entry in enumerate(sums)]


def chart(buckets: Iterable[OutcomeBucket]) -> dict[str, Any]:
    """Return the options of a stacked bar chart; times in milliseconds, which the browser shows in its time zone."""
    drawn = list(buckets)
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
        "series": [_series(name, index + 1, colour, drawn) for index, (name, colour) in enumerate(COLOURS.items())],
    }


def _time_axis(buckets: Sequence[OutcomeBucket]) -> dict[str, Any]:
    axis: dict[str, Any] = {"type": "time", "minInterval": 1000, "splitNumber": 4, "axisLabel": {"hideOverlap": True}}
    if buckets and buckets[0].start == buckets[-1].start:
        only = buckets[0].start.timestamp() * 1000
        axis |= {"min": only - _AROUND, "max": only + _AROUND}
    return axis


def _series(name: str, index: int, colour: str, buckets: Sequence[OutcomeBucket]) -> dict[str, Any]:
    data = [[bucket.start.timestamp() * 1000, bucket[index]] for bucket in buckets]
    return {
        "name": name.capitalize(),
        "type": "bar",
        "stack": "all",
        "barMaxWidth": 28,
        "itemStyle": {"color": colour},
        "data": data,
    }


def _bucket_of(batch: Batch) -> OutcomeBucket:
    return OutcomeBucket(_time(batch.end_time), batch.counts.sent, batch.counts.failed, batch.counts.unconfirmed)


def _time(stamp: Any) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return]
