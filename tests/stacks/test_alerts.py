"""The alerts of our own processes, judged by Prometheus' own tool: they ring when they should, and else do not."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import slo
from components.alert import Alert, groups
from components.severity import Severity
from scripts.local.servers import binaries
from stacks.alerts import ALERTS
from stacks.objectives import OBJECTIVES, canary_limits
from stacks.settings import SERVICES, ServiceName
from tests.conformance.test_runbooks import DOCUMENTS

RUNBOOKS = "https://example.com/runbooks"
RULES = [*groups(ALERTS, runbooks=RUNBOOKS), *slo.rules(OBJECTIVES, runbooks=RUNBOOKS)]
# Processes have these labels from their pods.
_WORKER = 'app_kubernetes_io_name="booking",app_kubernetes_io_component="worker"'
_SENT = 'notification_deliveries_total{workflow="order-completed",outcome='
# What is counted when nothing is good.
BAD = {
    **{
        f"{service}-{what}": f'http_request_duration_seconds_count{{app_kubernetes_io_name="{service}",'
        f'app_kubernetes_io_component="api",status="{status}"}}'
        for service in SERVICES
        for what, status in (("availability", 503), ("latency", 200))
    },
    "checkout-success": 'saga_commands_total{command="booking.needs_operator",outcome="succeeded"}',
    "notification-delay": "event_delay_seconds_count",
}


@dataclass(frozen=True)
class Case:
    """A series a minute apart, first when the alert must ring by ``minute``, then when it must not."""

    alert: str
    rings: dict[str, str]
    quiet: dict[str, str]
    minute: int
    labels: dict[str, str]


CASES = (
    Case("Oversold", {"booking_pools_inconsistent": "0 0 1x5"}, {"booking_pools_inconsistent": "0x7"}, 3, {}),
    Case("SaleOpensSoon", {"booking_sales_soon": "0 0 1x5"}, {"booking_sales_soon": "0x7"}, 3, {}),
    Case(
        "AdmissionWithoutCache",
        {"admission_without_cache_total": "0+20x10"},
        # A failover: half a minute in which some were not answered.
        {"admission_without_cache_total": "0 6x10"},
        5,
        {},
    ),
    Case("BooksDiffer", {"payment_discrepancies_open": "0 2x30"}, {"payment_discrepancies_open": "2x10 0x20"}, 17, {}),
    Case(
        "WebhooksMissing",
        {"payment_webhooks_undelivered": "0 1x30"},
        # Stripe tries again, and was heard.
        {"payment_webhooks_undelivered": "1x8 0x20"},
        17,
        {},
    ),
    Case(
        "EventsStalled",
        {f"outbox_oldest_seconds{{{_WORKER}}}": "0+60x10"},
        {f"outbox_oldest_seconds{{{_WORKER}}}": "0 50 0 50 0 50 0"},
        6,
        {"app_kubernetes_io_name": "booking"},
    ),
    Case(
        "NotificationsLate",
        {"notification_oldest_due_seconds": "0+60x10"},
        {"notification_oldest_due_seconds": "90x10"},
        7,
        {},
    ),
    Case(
        "NotificationsDead",
        {f'{_SENT}"dead"}}': "0 0 1x20", f'{_SENT}"sent"}}': "0+9x22"},
        {f'{_SENT}"dead"}}': "3x22", f'{_SENT}"sent"}}': "0+9x22", f'{_SENT}"failed"}}': "0+1x22"},
        5,
        {},
    ),
    Case(
        "ErasuresFailing",
        {'notification_erasures_total{outcome="failed"}': "0+1x400"},
        # Novu was away for a while.
        {'notification_erasures_total{outcome="failed"}': "0+1x60 61x340"},
        300,
        {},
    ),
)


def promtool(*arguments: str, cwd: Path) -> str:
    """Run it; what it says. Fails the test when it is not content."""
    command = [str(binaries.find("prometheus").with_name("promtool")), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judged(folder: Path, rules: list[dict[str, Any]], series: dict[str, str], minute: int, **expected: Any) -> None:
    """Let promtool play ``series`` and compare the alerts at ``minute`` with ``expected``."""
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": rules}))
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", **expected}],
    }
    (folder / "tests.yml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", "tests.yml", cwd=folder)


def declared(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [rule for group in RULES for rule in group["rules"] if rule.get("alert") == name]
    [rule] = found
    return rule


def test_every_alert_is_tried() -> None:
    assert sorted(case.alert for case in CASES) == sorted(alert.name for alert in ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_rings_when_it_should(case: Case, tmp_path: Path) -> None:
    rule = declared(case.alert)
    alert = {"exp_labels": {**rule["labels"], **case.labels}, "exp_annotations": rule["annotations"]}
    judged(tmp_path, RULES, case.rings, case.minute, alertname=case.alert, exp_alerts=[alert])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_is_quiet_when_all_is_well(case: Case, tmp_path: Path) -> None:
    judged(tmp_path, RULES, case.quiet, case.minute, alertname=case.alert, exp_alerts=[])


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: each.name)
def test_an_objective_of_which_nothing_is_good_pages_within_minutes(objective: slo.Objective, tmp_path: Path) -> None:
    rules = slo.rules([objective], runbooks=RUNBOOKS)
    [page] = [rule for rule in rules[0]["rules"] if rule.get("alert") == "ErrorBudgetBurn14_4"]
    alert = {"exp_labels": page["labels"], "exp_annotations": page["annotations"]}
    judged(tmp_path, rules, {BAD[objective.name]: "0+60x90"}, 10, alertname="ErrorBudgetBurn14_4", exp_alerts=[alert])


@pytest.mark.parametrize("service", SERVICES)
def test_a_canary_is_judged_by_the_objectives_of_its_service(service: ServiceName) -> None:
    limits, named = canary_limits(service), {each.name: each for each in OBJECTIVES}
    rate, *_ = slo.BURNS[0]
    assert limits.error_percent == pytest.approx(100 * rate * named[f"{service}-availability"].budget)
    assert f'le="{limits.p99_seconds}"' in named[f"{service}-latency"].good
    # The percentile of the canary's alarm.
    assert named[f"{service}-latency"].target == 0.99


def test_prometheus_takes_every_rule(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": RULES}))
    said = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    assert f"{sum(len(group['rules']) for group in RULES)} rules found" in said


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name)
def test_an_alert_leads_to_a_runbook_that_exists(alert: Alert) -> None:
    assert alert.runbook in {document.stem for document in DOCUMENTS}
    assert declared(alert.name)["annotations"]["runbook_url"] == f"{RUNBOOKS}/{alert.runbook}.md"


@pytest.mark.parametrize(
    ("wrong", "says"), [({"name": "books differ"}, "use words in capitals"), ({"minutes": -1}, "give 0 or more")]
)
def test_an_alert_that_makes_no_sense_is_refused(wrong: dict[str, Any], says: str) -> None:
    sound = Alert(name="Sound", says="It is.", expr="up", minutes=1, severity=Severity.PAGE, runbook="error_budget")
    with pytest.raises(ValueError, match=says):
        replace(sound, **wrong)
