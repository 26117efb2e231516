"""What is raised for a sale, how far, and when it goes back."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks import _kit as kit
from runbooks._kit.model import Exit
from runbooks.on_sale_scale_out import OnSaleScaleOut
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.on_sale_scale_out import EVERYDAY, SALE, Stage

_MEMORY = "on_sale_scale_out"


@pytest.fixture
def bench(stage: Stage, tmp_path: Path) -> Bench:
    return Bench(OnSaleScaleOut(patience=0), stage.workloads.environment, tmp_path)


def planned(bench: Bench) -> list[str]:
    return [each["id"] for each in bench.engine().dry_run().actions]


def test_what_is_scaled_is_raised_and_goes_back_to_what_it_was(stage: Stage, bench: Bench) -> None:
    bench.given(by=2).applied()
    assert stage.numbers() == (SALE, (6, 6))
    assert planned(bench) == [], "no time was said, so it stays"
    back = bench.given(back=True)
    assert planned(back)[-1] == "restore NodeGroup nodes", "machines go after the pods"
    assert back.applied().exit is Exit.DONE
    assert stage.numbers() == (EVERYDAY, (3, 3))
    assert stage.workloads.remembered(_MEMORY) == {}


def test_raised_twice_it_goes_back_to_what_the_stack_had(stage: Stage, bench: Bench) -> None:
    bench.given(by=1.5).applied()
    bench.given(by=2).applied()
    assert stage.numbers() == (SALE, (6, 6)), "times what there is on other days"
    bench.given(back=True).applied()
    assert stage.numbers() == (EVERYDAY, (3, 3))


def test_after_the_time_that_was_said_a_run_without_options_goes_back(stage: Stage, bench: Bench) -> None:
    over = datetime.now(UTC) - timedelta(minutes=1)
    bench.given(least=["booking-api=8"], until=over.isoformat()).applied()
    later = datetime.now(UTC) + timedelta(hours=1)
    bench.given(least=["booking-worker=8"], until=later.isoformat()).applied()
    failed = bench.engine().verify()
    assert failed.outcome.startswith("not all is well: nobody has more for a sale that is over")
    assert bench.applied().actions[0]["id"] == "restore HorizontalPodAutoscaler booking-api"
    assert stage.workloads.least() == {**EVERYDAY, "booking-worker": 8}


def test_those_that_are_named_get_their_number_and_nobody_else(stage: Stage, bench: Bench) -> None:
    bench.given(least=["booking-api=8", "nodes=4"]).applied()
    assert stage.numbers() == ({**EVERYDAY, "booking-api": 8}, (4, 4))


def test_a_rollback_gives_everybody_what_they_had(stage: Stage, bench: Bench) -> None:
    raised = bench.given(by=2)
    plan = raised.planned()
    raised.applied(plan)
    assert raised.engine().rollback(plan, TERMS).exit is Exit.DONE
    assert stage.numbers() == (EVERYDAY, (3, 3))
    assert stage.workloads.remembered(_MEMORY) == {}


def test_it_says_which_pods_and_nodes_are_still_missing(stage: Stage, bench: Bench) -> None:
    report = bench.given(by=2).applied()
    assert report.exit is Exit.FAILED
    [missing] = [each["detail"] for each in report.verified if not each["ok"]]
    assert missing == (
        "NodeGroup nodes: 3 of 6, HorizontalPodAutoscaler booking-api: 3 of 6, ScaledObject booking-worker: 3 of 6"
    )


def test_what_the_account_or_the_network_or_the_namespace_cannot_give_is_refused(stage: Stage, bench: Bench) -> None:
    # Three nodes of two vCPUs run, and each further one takes as many, and up to 30 addresses of its subnet.
    stage.vcpus = 11
    with pytest.raises(kit.Refused, match="6 vCPUs in the account's quota of EC2 needed, 5 left: raise that first"):
        bench.given(by=2).planned()
    stage.vcpus = 500
    stage.group.most(40)
    with pytest.raises(kit.Refused, match=r"270 addresses in subnet-\w+ needed, 2\d\d left"):
        bench.given(least=["nodes=30"]).planned()
    stage.workloads.quota({"pods": "12", "requests.cpu": "2"}, {"pods": "8", "requests.cpu": "800m"})
    with pytest.raises(kit.Refused, match="6 pods in the namespace's quota needed, 4 left: raise"):
        bench.given(by=2).planned()
    assert stage.numbers() == (EVERYDAY, (3, 3))


def test_a_minimum_above_the_most_is_refused(bench: Bench) -> None:
    with pytest.raises(kit.Refused, match="booking-api would have 21 at least and has 20 at most"):
        bench.given(least=["booking-api=21"]).planned()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": 0.5}, "--by is 0.5: this raises"),
        ({"by": 2, "back": True}, "give it without --by"),
        ({"by": 2, "until": "2026-12-01T20:00"}, "without an offset"),
        ({"by": 2, "until": "tomorrow"}, "--until is tomorrow: "),
        ({"least": ["booking-api"]}, "is no NAME=NUMBER"),
        ({"least": ["booking-ap=3"]}, "--least names booking-ap; there are nodes, booking-"),
    ],
)
def test_options_that_make_no_sense_are_refused(bench: Bench, options: dict[str, Any], says: str) -> None:
    with pytest.raises(kit.Refused, match=says):
        bench.given(**options).planned()


@pytest.fixture
def served() -> Iterator[str]:
    """An address where /readyz is answered, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("path", "well"), [("/readyz", True), ("/nothing", False)])
def test_an_address_is_probed_if_one_is_given(bench: Bench, served: str, path: str, well: bool) -> None:
    [*_, probed] = bench.given(probe=served + path).engine().verify().verified
    assert probed["ok"] is well
