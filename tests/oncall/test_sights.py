"""The screen says what rings, what waits and what cannot be seen, with the runbook for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runbooks._kit import lock
from scripts.oncall.lights import Light, State
from scripts.oncall.prometheus import Prometheus
from scripts.oncall.sights import Screen, rotation_is_late
from tests.oncall.conftest import Told
from tests.runbooks.environment import Environment


@pytest.fixture
def screen(environment: Environment, told: Told) -> Screen:
    return Screen(environment.target(), Prometheus(told))


def ring(environment: Environment, name: str, runbook: str) -> None:
    cloudwatch = environment.aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        AlarmDescription=f"Orders wait for a person to decide. Runbook: runbooks/{runbook}.md",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Period=60,
        EvaluationPeriods=1,
        Statistic="Maximum",
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="for a test")


def named(lights: list[Light], name: str) -> Light:
    [found] = [light for light in lights if light.name == name]
    return found


def test_an_alarm_that_rings_is_bad_and_names_its_runbook(environment: Environment, screen: Screen) -> None:
    ring(environment, f"{environment.name}-parked", "stuck_saga")
    found = named(list(screen.alarms()), f"{environment.name}-parked")
    assert (found.state, found.runbook) == (State.BAD, "stuck_saga")
    assert found.detail.startswith("Orders wait for a person to decide. For ")


def test_an_alarm_that_somebody_works_on_needs_nobody_else(environment: Environment, screen: Screen) -> None:
    ring(environment, f"{environment.name}-parked", "stuck_saga")
    until = datetime.now(UTC) + timedelta(minutes=5)
    ssm = environment.aws("ssm")
    with lock.holding(ssm, environment.name, "stuck_saga", who="ann", ticket="T-1", run="r", until=until):
        found = named(list(screen.alarms()), f"{environment.name}-parked")
    assert found.state is State.WARN
    assert found.detail.endswith("; ann is at work (T-1)")


def test_an_alert_that_fires_names_its_runbook_and_its_objective(screen: Screen, told: Told) -> None:
    told.firing = [
        {
            "state": "firing",
            "labels": {"alertname": "ErrorBudgetBurn6", "slo": "booking-latency"},
            "annotations": {"summary": "Slow.", "runbook_url": "https://example.com/runbooks/error_budget.md"},
            "activeAt": "2026-11-28T10:00:00.123456789Z",
        },
        {"state": "pending", "labels": {"alertname": "Oversold"}, "annotations": {}, "activeAt": ""},
    ]
    [found] = screen.alerts()
    assert (found.name, found.state, found.runbook) == (
        "ErrorBudgetBurn6 booking-latency",
        State.BAD,
        "error_budget",
    )


def test_an_order_that_waits_for_a_person_is_bad(environment: Environment, screen: Screen) -> None:
    assert named(list(screen.sagas()), "waiting for a decision").state is State.GOOD
    environment.aws("sqs").send_message(QueueUrl=environment.record["queueUrls"]["operator"], MessageBody="{}")
    found = named(list(screen.sagas()), "waiting for a decision")
    assert (found.state, found.detail, found.runbook) == (State.BAD, "1", "stuck_saga")


@pytest.mark.parametrize(("seconds", "state"), [(3, State.GOOD), (20, State.WARN), (61, State.BAD)])
def test_an_event_that_waits_longer_is_worse(screen: Screen, told: Told, seconds: float, state: State) -> None:
    told.values = {"outbox_oldest_seconds": seconds}
    lights = list(screen.counted())
    assert named(lights, "oldest event not published").state is state
    assert named(lights, "pools that do not add up").state is State.UNKNOWN, "nobody has said anything"


@pytest.mark.parametrize(
    ("lease", "state", "says"),
    [
        ("none", State.GOOD, "none under way"),
        ('{"ended": "never begun"}', State.GOOD, "none under way"),
        ('{"expires": "2026-11-28T12:00:00Z"}', State.WARN, "under way, held until 2026-11-28T12:00:00Z"),
        (
            '{"ended": "2026-11-28T11:00:00Z", "why": "alarm"}',
            State.GOOD,
            "the last one was taken back at ",
        ),
    ],
)
def test_a_canary_is_shown_as_its_lease_says(
    environment: Environment, screen: Screen, lease: str, state: State, says: str
) -> None:
    name = environment.record["canaries"]["booking"]["lease"]
    environment.aws("ssm").put_parameter(Name=name, Value=lease, Overwrite=True)
    [found] = screen.canaries()
    assert found.state is state
    assert found.detail.startswith(says)


@pytest.mark.parametrize(
    ("days", "rotated", "late"),
    [(30, 29, False), (30, 32, False), (30, 34, True), (None, 400, False), (30, None, True)],
)
def test_a_rotation_is_late_when_its_day_and_some_more_are_over(
    days: int | None, rotated: int | None, late: bool
) -> None:
    now = datetime.now(UTC)
    secret = {
        "CreatedDate": now - timedelta(days=500),
        **({"LastRotatedDate": now - timedelta(days=rotated)} if rotated else {}),
        **({"RotationRules": {"AutomaticallyAfterDays": days}} if days else {}),
    }
    assert rotation_is_late(secret, now) is late


def test_secrets_that_do_not_rotate_are_not_counted(environment: Environment, screen: Screen) -> None:
    environment.secret("payment-stripe", {"key": "x"})
    [found] = screen.secrets()
    assert (found.state, found.detail) == (State.GOOD, "0 rotate, the oldest is 0 d old")


def test_what_cannot_be_seen_is_said_and_hides_nothing_else(
    environment: Environment, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    lights = screen.look()
    assert named(lights, "workloads").state is State.UNKNOWN
    assert named(lights, "workloads").detail.startswith("cannot be seen: ")
    assert {light.part for light in lights} >= {"alarms", "sagas", "canaries", "secrets", "counted"}
