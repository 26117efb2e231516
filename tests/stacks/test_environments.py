"""The real engine runs the real program with the real packs: prod is planned, a violation stops the plan."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.deployment import ROOT, Failed
from scripts.local.cloud import running
from scripts.local.stack import Stack
from scripts.toolchain import pulumi

EVENTCTL = Path(sys.executable).with_name("eventctl")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cloud() -> Iterator[running.Addresses]:
    with running.running() as addresses:
        yield addresses


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources, to be changed."""
    copy = tmp_path / "checkout"
    for folder in ("stacks", "components", "policies"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(file, copy)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


def stack(name: str, folder: Path, cloud: running.Addresses, root: Path = ROOT) -> Stack:
    """A stack of the program in ``root``."""
    engine = pulumi.find()
    assert engine is not None
    folder.mkdir(exist_ok=True)
    return Stack(name, folder, cloud, engine, root=root)


def edit(file: Path, old: str, new: str) -> None:
    """Replace ``old``, which must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_production_is_planned_without_a_violation_and_the_checkout_stays_as_it_was() -> None:
    before = (ROOT / "Pulumi.prod.yaml").read_text()
    done = subprocess.run(
        [EVENTCTL, "simulate", "prod", "--json"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=250
    )
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert set(planned) == {"create"}
    assert planned["create"] > 200
    assert (ROOT / "Pulumi.prod.yaml").read_text() == before


def test_a_violating_change_is_refused_before_anything_is_created(
    cloud: running.Addresses, checkout: Path, tmp_path: Path
) -> None:
    edit(checkout / "components" / "database_instance.py", "storage_encrypted=True", "storage_encrypted=False")
    with pytest.raises(Failed) as refused:
        stack("dev", tmp_path / "run", cloud, checkout).up(lambda _: None)
    message = str(refused.value)
    assert "policy database-encrypted" in message
    assert "booking-database" in message
    assert "storageEncrypted is False, it must be true. Set storageEncrypted to true" in message
    make: Any = boto3.client
    created = make(
        "ec2",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
    ).describe_vpcs()["Vpcs"]
    assert [vpc for vpc in created if not vpc["IsDefault"]] == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    cidr:", "    ciddr:", "event-platform:network.ciddr is not a setting; did you mean 'cidr'?"),
        ("10.20.0.0/16", "10.20.0.1/16", "is not an IPv4 network"),
        ("replicas: 1, max_replicas: 2, pool: 10", "replicas: 9, max_replicas: 9, pool: 90", "may open"),
    ],
)
def test_a_mistake_in_a_stack_file_is_told_by_the_engine_in_one_message(
    cloud: running.Addresses, checkout: Path, tmp_path: Path, old: str, new: str, says: str
) -> None:
    edit(checkout / "Pulumi.dev.yaml", old, new)
    with pytest.raises(Failed) as refused:
        stack("dev", tmp_path / "run", cloud, checkout).preview(lambda _: None)
    assert says in str(refused.value)


def test_an_unknown_stack_is_refused_with_those_that_exist() -> None:
    done = subprocess.run(
        [EVENTCTL, "simulate", "staging"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )
    assert done.returncode == 1
    assert "stack 'staging' has no Pulumi.staging.yaml; stacks are dev, local, prod" in " ".join(done.stderr.split())
