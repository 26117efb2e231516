"""Objectives: what they refuse, and what is made of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from components import grafana, slo
from components.monitoring import MonitoringArgs
from services.common import metrics
from stacks.objectives import OBJECTIVES

OBJECTIVE = slo.Objective(
    name="answers",
    says="It answers.",
    target=0.99,
    good='answers_total{outcome="good"}',
    all="answers_total",
    runbook="error_budget",
)
RUNBOOKS = "https://example.com/runbooks"
[GROUP] = slo.rules([OBJECTIVE], runbooks=RUNBOOKS)


@pytest.mark.parametrize("target", [0.5, 0.99999, 1])
def test_a_target_that_allows_nothing_or_nearly_everything_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match=rf"objective answers has target {target}; it is a share from 0\.7 to 0\.9999"):
        replace(OBJECTIVE, target=target)


def test_a_name_that_is_no_label_is_refused() -> None:
    with pytest.raises(ValueError, match="use lower case, digits and hyphens"):
        replace(OBJECTIVE, name="It answers")


def test_every_window_that_an_alert_looks_at_is_recorded() -> None:
    recorded = {rule["record"] for rule in GROUP["rules"] if "record" in rule}
    for rule in GROUP["rules"]:
        if "alert" in rule:
            assert set(re.findall(r"slo:errors:ratio_\w+", rule["expr"])) <= recorded


def test_a_fast_burn_pages_and_a_slow_one_waits_for_the_morning() -> None:
    alerts = {rule["alert"]: rule for rule in GROUP["rules"] if "alert" in rule}
    assert {name: alert["labels"]["severity"] for name, alert in alerts.items()} == {
        "ErrorBudgetBurn14_4": "page",
        "ErrorBudgetBurn6": "page",
        "ErrorBudgetBurn3": "ticket",
        "ErrorBudgetBurn1": "ticket",
    }
    assert alerts["ErrorBudgetBurn14_4"]["expr"] == (
        'slo:errors:ratio_1h{slo="answers"} > 14.4 * 0.01 and slo:errors:ratio_5m{slo="answers"} > 14.4 * 0.01'
    )


def test_where_nothing_was_ever_good_the_share_of_errors_is_whole_and_not_unknown() -> None:
    assert OBJECTIVE.errors("5m") == (
        '1 - ((sum(increase(answers_total{outcome="good"}[5m])) or vector(0)) / (sum(increase(answers_total[5m])) > 0))'
    )


def test_every_alert_says_where_its_runbook_is() -> None:
    links = {rule["annotations"]["runbook_url"] for rule in GROUP["rules"] if "alert" in rule}
    assert links == {f"{RUNBOOKS}/error_budget.md"}


def test_two_objectives_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="each needs a name of its own"):
        MonitoringArgs(namespace="platform", objectives=[OBJECTIVE, OBJECTIVE], alerts=[], runbooks=RUNBOOKS)


def test_runbooks_without_an_address_are_refused() -> None:
    with pytest.raises(ValueError, match="with https://"):
        MonitoringArgs(namespace="platform", objectives=[OBJECTIVE], alerts=[], runbooks="runbooks")


def test_panels_of_the_dashboard_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in grafana.objectives_dashboard(OBJECTIVES)["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: each.name)
def test_services_count_what_an_objective_is_measured_by(objective: slo.Objective) -> None:
    """Series and labels are those of services/common/metrics.py, limits the edges of its buckets."""
    families = (
        (metrics.REQUESTS.labels("GET", "/", "200"), {"method", "route", "status"}),
        (metrics.COMMANDS.labels("c", "o"), {"command", "outcome"}),
        (metrics.EVENTS.labels("t"), {"type"}),
    )
    known: dict[str, set[str]] = {}
    edges: dict[str, set[str]] = {}
    for parent, (_, labels) in zip((metrics.REQUESTS, metrics.COMMANDS, metrics.EVENTS), families, strict=True):
        for family in parent.collect():
            for sample in family.samples:
                known.setdefault(sample.name, set()).update(labels)
                if "le" in sample.labels:
                    edges.setdefault(sample.name, set()).add(sample.labels["le"])
    for counter in (objective.good, objective.all):
        name, _, selector = counter.partition("{")
        assert name in known, name
        chosen = dict(re.findall(r'(\w+)[=!~]+"([^"]*)"', selector))
        # Prometheus adds these from the labels of the pod.
        own = {label for label in chosen if not label.startswith("app_kubernetes_io_")} - {"le"}
        assert own <= known[name], counter
        if "le" in chosen:
            assert chosen["le"] in edges[name], f"{counter}: buckets end at {sorted(edges[name])}"
