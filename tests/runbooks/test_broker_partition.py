"""Which relays are restarted, when the broker forbids it, and when leaders of queues are spread."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.management import Described, Management
from runbooks._kit.model import Exit
from runbooks._kit.target import until
from runbooks.broker_partition import SERVICES, STALLED_SECONDS, BrokerPartition
from services.common.outbox import BACKOFF_SECONDS, SAGA
from stacks.alerts import ALERTS
from stacks.processes import PROCESSES
from tests.runbooks.bench import TERMS, Bench, outcomes
from tests.runbooks.faults.broker_partition import Outboxes

BOOKING, PAYMENT, SPREAD = "restart booking-relay", "restart payment-relay", "spread the leaders of queues"
NODES = ("rabbit@a", "rabbit@b", "rabbit@c")
Cluster = Callable[..., None]


@pytest.fixture
def bench(outboxes: Outboxes, tmp_path: Path) -> Bench:
    return Bench(BrokerPartition(patience=0), outboxes.environment, tmp_path)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Has the broker say that it has three nodes, and these queues; one node of a test cannot be parted from others."""

    def say(queues: list[Described], **of_last: Any) -> None:
        nodes: list[Described] = [{"name": name, "running": True, "partitions": []} for name in NODES]
        nodes[-1] |= of_last
        monkeypatch.setattr(Management, "nodes", lambda _: nodes)
        monkeypatch.setattr(Management, "queues", lambda _: queues)

    return say


def queue(number: int, leader: str | None = NODES[0], online: tuple[str, ...] = NODES) -> Described:
    """What the management API says of a quorum queue."""
    return {"name": f"queue-{number}", "type": "quorum", "leader": leader, "online": online, "members": NODES}


def led(*counts: int) -> list[Described]:
    """Queues of which each node leads so many."""
    leaders = [node for node, count in zip(NODES, counts, strict=True) for _ in range(count)]
    return [queue(number, leader) for number, leader in enumerate(leaders)]


def planned(bench: Bench) -> list[str]:
    return [each["id"] for each in bench.engine().dry_run().actions]


def relays(bench: Bench) -> dict[tuple[str, str], str]:
    """What is thought of the relay for each service and destination."""
    rows = bench.engine().dry_run().findings[0]["rows"]
    return {(row["service"], row["destination"]): row["relay"] for row in rows}


def test_it_says_what_waits_and_how_the_nodes_and_queues_are(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("booking")
    outboxes.wait("booking", destination=SAGA, seconds=5)
    waiting, nodes, queues = (table["rows"] for table in bench.engine().dry_run().findings)
    told = [(row["service"], row["destination"], row["waiting"], row["stalled"], row["relay"]) for row in waiting]
    assert told == [("booking", "events", 1, 1, "hangs"), ("booking", "saga", 1, 0, "")]
    [node] = nodes
    assert (node["running"], node["does_not_see"], node["leads"]) == ("True", "", len(queues))
    assert {(row["leader"], row["online"], row["members"]) for row in queues} == {(node["node"], 1, 1)}


def test_a_service_whose_events_do_not_wait_for_long_is_left_alone(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("booking")
    outboxes.wait("payment", seconds=STALLED_SECONDS - 20)
    assert planned(bench) == [BOOKING]
    bench.applied()
    assert list(outboxes.restarts()) == ["booking-relay"]


def test_when_nothing_waits_all_is_well(bench: Bench) -> None:
    assert planned(bench) == []
    assert bench.engine().verify().exit is Exit.DONE


def test_a_relay_that_was_restarted_is_not_again_before_later_rows_have_waited_too(
    outboxes: Outboxes, bench: Bench
) -> None:
    outboxes.wait("booking", seconds=900)
    outboxes.restart("booking", datetime.now(UTC) - timedelta(minutes=10))
    assert planned(bench) == []
    assert "restarted since" in bench.engine().verify().verified[0]["detail"]
    outboxes.wait("booking", seconds=90)
    assert planned(bench) == [BOOKING]


def test_a_relay_that_somebody_restarted_meanwhile_is_left(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("booking")
    plan = bench.planned()
    outboxes.restart("booking")
    before = outboxes.restarts()
    assert outcomes(bench.applied(plan)) == {BOOKING: "nothing to do any more"}
    assert outboxes.restarts() == before


def test_a_relay_that_publishes_is_late_and_does_not_hang(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("booking")
    outboxes.publish("booking")
    outboxes.wait("booking")
    assert relays(bench) == {("booking", "events"): "late"}
    assert planned(bench) == []


def test_a_relay_that_is_paused_is_not_restarted(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("payment")
    outboxes.workloads.scale("payment-relay", 0)
    assert relays(bench) == {("payment", "events"): "paused"}
    assert planned(bench) == []


def test_sagas_that_the_relay_takes_up_are_refused_by_step_functions_and_no_restart_helps(
    outboxes: Outboxes, bench: Bench
) -> None:
    outboxes.wait("booking", destination=SAGA, taken=True)
    assert planned(bench) == []
    report = bench.engine().verify()
    assert report.exit is Exit.FAILED
    assert report.verified[0]["detail"] == "booking: 1 for saga, relay: refused"


def test_sagas_that_nobody_takes_up_have_a_relay_that_hangs(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("booking", destination=SAGA)
    assert planned(bench) == [BOOKING]


def test_events_that_are_taken_up_and_not_confirmed_by_a_broker_that_is_well_have_a_channel_that_hangs(
    outboxes: Outboxes, bench: Bench
) -> None:
    outboxes.wait("payment", taken=True)
    assert planned(bench) == [PAYMENT]


@pytest.mark.parametrize(
    ("queues", "of_last", "says"),
    [
        (led(1, 1, 1), {"running": False}, "node rabbit@c does not run"),
        (led(1, 1, 1), {"partitions": ["rabbit@a"]}, "node rabbit@c does not see rabbit@a"),
        (led(1, 1, 1), {"mem_alarm": True}, r"node rabbit@c is short of memory .*broker_memory_alarm\.md"),
        ([queue(7, leader=None)], {}, "queue queue-7 has no leader"),
        ([queue(7, online=NODES[:1])], {}, "queue queue-7 has 1 of 3 members online"),
    ],
)
def test_no_relay_is_restarted_while_the_broker_is_ill(
    outboxes: Outboxes, bench: Bench, cluster: Cluster, queues: list[Described], of_last: dict[str, Any], says: str
) -> None:
    outboxes.wait("booking")
    plan = bench.planned()
    cluster(queues, **of_last)
    for run in (bench.planned, lambda: bench.applied(plan)):
        with pytest.raises(kit.Refused, match=f"{says}.*would not help.*do not reboot"):
            run()
    assert outboxes.restarts() == {}
    [_, broker] = bench.engine().verify().verified
    assert re.search(says, broker["detail"])
    assert not broker["ok"]


def test_a_broker_that_does_not_answer_is_no_reason_to_restart(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.wait("booking")
    secret = outboxes.environment.record["brokerSecretArns"]["administrator"]
    nobody = {"username": "admin", "password": "of-no-use", "management": "https://127.0.0.1:9"}
    outboxes.environment.aws("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps(nobody))
    with pytest.raises(kit.Refused, match=r"the broker does not answer .*would not help"):
        bench.planned()


def test_an_ill_broker_for_which_nothing_waits_is_shown(bench: Bench, cluster: Cluster) -> None:
    cluster(led(6, 0, 0), running=False)
    report = bench.engine().dry_run()
    assert report.actions == []
    assert [row["running"] for row in report.findings[1]["rows"]] == ["True", "True", "False"]


@pytest.mark.parametrize(
    ("counts", "due"),
    [((4, 1, 1), True), ((3, 3, 0), True), ((2, 2, 2), False), ((2, 2, 1), False), ((3, 3, 1), False)],
)
def test_leaders_are_spread_where_a_node_has_more_than_its_share(
    bench: Bench, cluster: Cluster, counts: tuple[int, int, int], due: bool
) -> None:
    cluster(led(*counts))
    assert planned(bench) == [SPREAD] * due


def test_the_broker_is_asked_to_spread_leaders_after_relays_are_restarted(
    outboxes: Outboxes, bench: Bench, cluster: Cluster
) -> None:
    outboxes.wait("booking", seconds=STALLED_SECONDS + 30)
    cluster(led(6, 0, 0))
    plan = bench.planned()
    log = outboxes.server.server.log
    before = log.read_text().count("queue rebalance")
    assert outcomes(bench.applied(plan)) == {BOOKING: "done", SPREAD: "done"}
    assert until(lambda: log.read_text().count("queue rebalance") > before, seconds=10)
    assert bench.engine().rollback(plan, TERMS).outcome == "nothing to take back"


def test_a_namespace_without_the_relays_is_refused(outboxes: Outboxes, bench: Bench) -> None:
    outboxes.environment.write(namespace="default")
    with pytest.raises(kit.Refused, match="namespace default has no Deployment booking-relay, payment-relay"):
        bench.planned()


def test_relays_ages_and_pauses_are_those_of_the_stack_and_the_services() -> None:
    assert list(SERVICES) == [name for name, of in PROCESSES.items() if any(each.name == "relay" for each in of)]
    [alert] = [each for each in ALERTS if each.runbook == "broker_partition"]
    assert alert.expr.endswith(f"> {STALLED_SECONDS}")
    assert BrokerPartition().patience > BACKOFF_SECONDS[1]
