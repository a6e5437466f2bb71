"""Alert rules and the Grafana dashboard use only metrics that the service exports."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

from domain.streams import page_stream
from server.eventstore.commit import Commit, StreamEvents
from server.eventstore.event_store import EventStore
from server.observability.database_metrics import DatabaseMetrics
from server.observability.metrics import Metrics
from tests.builders import page_registered
from tests.databases import opened

DEPLOY = Path(__file__).parents[2] / "deploy"
SAMPLES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
OUTSIDE = {"job", "instance", "alertname", "alertstate", "le"}  # labels that Prometheus adds

METRIC = re.compile(r"\bredrive_[a-z_]+")
SELECTED = re.compile(r"([a-z_]+)(?:=~|!~|!=|=)\"")
GROUPED = re.compile(r"(?:by|on|without) \(([a-z_, ]+)\)")


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every query with the name of its alert or panel."""
    rules = YAML(typ="safe").load(DEPLOY / "prometheus" / "alerts.yaml")
    yield from ((rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"])
    dashboard = json.loads((DEPLOY / "grafana" / "redrive.json").read_text())
    yield from ((panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"])
    yield from (
        ("variable", one["query"]["query"]) for one in dashboard["templating"]["list"] if one["type"] == "query"
    )


@pytest.fixture
async def exported(tmp_path: Path) -> dict[str, set[str]]:
    """Return the labels of each exported sample of a service with one page, by sample name."""
    meters = Metrics()
    async with EventStore(opened(f"sqlite:///{tmp_path / 'redrive.db'}")) as log:
        await log.commit(Commit([StreamEvents(page_stream("1"), 0, [page_registered("1")])]))
        gauges = DatabaseMetrics(log, lambda: {"1": 1.0})
        await gauges.refresh()
    labels: dict[str, set[str]] = {}
    for metric in gauges.collect():
        labels[metric.name] = set(metric.samples[0].labels)
    for collector in meters.registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            for suffix in SAMPLES[str(collector._type)]:
                labels[collector._name + suffix] = set(collector._labelnames)
    return labels


async def test_every_query_uses_exported_metrics(exported: dict[str, set[str]]) -> None:
    wrong = [
        f"{place}: {name}" for place, query in expressions() for name in METRIC.findall(query) if name not in exported
    ]

    assert not wrong


async def test_every_label_in_a_query_belongs_to_one_of_its_metrics(exported: dict[str, set[str]]) -> None:
    wrong = []
    for place, query in expressions():
        known = set[str]().union(*(exported[name] for name in METRIC.findall(query)), OUTSIDE)
        asked = {
            *SELECTED.findall(query),
            *(label.strip() for some in GROUPED.findall(query) for label in some.split(",")),
        }
        wrong += [f"{place}: {label}" for label in asked - known]

    assert not wrong


async def test_every_exported_metric_is_shown(exported: dict[str, set[str]]) -> None:
    shown = {name for _, query in expressions() for name in METRIC.findall(query)}
    families = {name for name in exported if not name.endswith(("_count", "_sum"))}

    assert families <= shown


def test_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    panels: list[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "redrive.json").read_text())["panels"]
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
