"""`eventctl cost` and `eventctl graph` read a state and say what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from scripts import graph, record
from scripts.cli import app
from scripts.cost import prices
from scripts.cost.estimate import STACK, estimate, planned
from scripts.cost.prices import NoPrice
from scripts.deployment import Step
from scripts.state import State

RUN = CliRunner()
ROOT_URN = "urn:pulumi:prod::event-platform::pulumi:pulumi:Stack::event-platform-prod"


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::event-platform::{kind}::{name}"


def resource(
    kind: str, name: str, *, parent: str = ROOT_URN, needs: tuple[str, ...] = (), **inputs: Any
) -> dict[str, Any]:
    return {"urn": urn(kind, name), "type": kind, "parent": parent, "inputs": inputs, "dependencies": list(needs)}


STORE = urn("platform:database:Database", "store")
NETWORK = urn("platform:network:Network", "network")
VPC = urn("aws:ec2/vpc:Vpc", "network")
INSTANCE = "aws:rds/instance:Instance"
DEPLOYMENT: Mapping[str, Any] = {
    "resources": [
        {"urn": ROOT_URN, "type": "pulumi:pulumi:Stack"},
        resource("pulumi:providers:aws", "aws", region="us-east-1"),
        resource("platform:network:Network", "network"),
        resource("aws:ec2/vpc:Vpc", "network", parent=NETWORK),
        resource("platform:database:Database", "store"),
        resource(
            INSTANCE,
            "store",
            parent=STORE,
            needs=(VPC,),
            instanceClass="db.t4g.small",
            allocatedStorage=20,
            multiAz=False,
        ),
        resource("aws:sqs/queue:Queue", "tasks", parent=STORE),
        resource("aws:kms/key:Key", "loose"),
    ]
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"version": 3, "deployment": DEPLOYMENT}))
    return file


def test_what_a_component_pays_by_the_hour_and_the_piece_is_added_up() -> None:
    found = estimate(DEPLOYMENT)
    assert found.components() == {"store": pytest.approx(730 * 0.032 + 20 * 0.115), STACK: pytest.approx(1.0)}
    assert found.by_use == {"aws:sqs/queue:Queue": 1}


def test_a_region_costs_by_its_factor() -> None:
    assert prices.monthly("kms-key", "eu-west-3") == pytest.approx(prices.REGIONS["eu-west-3"])


def test_what_is_in_no_table_is_an_error_and_not_free() -> None:
    unknown = {"resources": [*DEPLOYMENT["resources"], resource("aws:redshift/cluster:Cluster", "lake")]}
    with pytest.raises(NoPrice, match=r"aws:redshift/cluster:Cluster \(lake\) is in no table"):
        estimate(unknown)


@pytest.mark.parametrize(
    ("key", "region", "message"), [("rds:db.x", "us-east-1", "prices.csv"), ("eks", "mars", "REGIONS")]
)
def test_a_missing_price_is_told_with_where_to_add_it(key: str, region: str, message: str) -> None:
    with pytest.raises(NoPrice, match=message):
        prices.monthly(key, region)


def test_a_state_of_nothing_has_no_cost_to_tell() -> None:
    with pytest.raises(NoPrice, match="has no AWS provider with a Region"):
        estimate({"resources": []})


def test_a_plan_is_priced_as_the_state_that_it_leads_to() -> None:
    store = urn(INSTANCE, "store")
    after = planned(
        DEPLOYMENT,
        [
            Step(
                "update",
                store,
                INSTANCE,
                after={"instanceClass": "db.t4g.small", "allocatedStorage": 20, "multiAz": True},
            ),
            Step("delete", urn("aws:kms/key:Key", "loose"), "aws:kms/key:Key"),
            Step("create", urn("aws:kms/key:Key", "new"), "aws:kms/key:Key", after={}, parent=STORE),
            Step("delete-replaced", VPC, "aws:ec2/vpc:Vpc"),
        ],
    )
    assert estimate(after).components() == {"store": pytest.approx(2 * (730 * 0.032 + 20 * 0.115) + 1)}


def test_everything_in_the_record_of_production_has_a_price_or_a_reason() -> None:
    found = estimate(record.read())
    assert found.total > 1000
    assert {"booking-database", "broker", "network"} <= set(found.components())


def test_the_command_tells_people_and_scripts(state: Path) -> None:
    told = RUN.invoke(app, ["cost", "prod", "--state", str(state)])
    assert told.exit_code == 0
    assert "store" in told.stdout
    assert "1 Queue" in told.stdout
    found = json.loads(RUN.invoke(app, ["cost", "prod", "--state", str(state), "--json"]).stdout)
    assert found["total"] == pytest.approx(26.66, abs=0.01)


@pytest.mark.parametrize("content", ["no json", "[]", '{"deployment": {}}'])
@pytest.mark.parametrize("command", ["cost", "graph"])
def test_a_file_that_is_no_state_is_refused(command: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    done = RUN.invoke(app, [command, "prod", "--state", str(file)])
    assert done.exit_code == 2
    assert "no `pulumi stack export` is there" in done.stderr


def test_a_plan_of_a_file_is_refused(state: Path) -> None:
    done = RUN.invoke(app, ["cost", "prod", "--state", str(state), "--plan"])
    assert done.exit_code == 2
    assert "give one of them" in done.stderr


def test_a_picture_has_a_box_a_component_and_an_arrow_for_what_it_needs(state: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "prod.svg"
    assert RUN.invoke(app, ["graph", "prod", "--state", str(state), "-o", str(drawn)]).exit_code == 0
    titles = [each.text for each in ElementTree.parse(drawn).iter("{http://www.w3.org/2000/svg}title")]
    assert {"network", "store", "network->store"} <= set(titles)


def test_an_arrow_that_a_longer_way_says_and_the_lighter_of_two_opposite_ones_are_left_out() -> None:
    arrows = {("a", "b"): 1, ("b", "c"): 1, ("a", "c"): 5, ("c", "b"): 3, ("d", "a"): 1}
    assert graph.reduced(arrows) == {("a", "c"), ("c", "b"), ("d", "a")}


def test_the_innermost_resource_belongs_to_the_outermost_component() -> None:
    inner = resource("platform:database:Instances", "inner", parent=STORE)
    state = State(
        {"resources": [*DEPLOYMENT["resources"], inner, resource("aws:kms/key:Key", "k", parent=inner["urn"])]}
    )
    owner = state.component(state.by_urn[urn("aws:kms/key:Key", "k")])
    assert owner is not None
    assert owner.name == "store"
