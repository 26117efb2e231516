"""The end of a platform: nothing is left, in the cloud and on the machine."""

from __future__ import annotations

import psutil
import pytest

from scripts.local.platform import lifecycle
from scripts.toolchain import pulumi
from tests.local.platform.support import PATIENCE, Platform, mentioning

pytestmark = pytest.mark.timeout(PATIENCE * 2)


def test_destroy_leaves_nothing_in_the_cloud_and_down_leaves_nothing_on_the_machine(platform: Platform) -> None:
    engine = pulumi.find()
    assert engine is not None
    stack = lifecycle.open_stack(platform.layout, engine, lasting=False)
    stack.destroy(lambda _: None)
    assert stack.export().get("resources", []) == []
    assert "QueueUrls" not in platform.aws("sqs").list_queues()
    assert platform.aws("rds").describe_db_instances()["DBInstances"] == []
    vpcs = platform.aws("ec2").describe_vpcs()["Vpcs"]
    assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []

    pids = [part.pid for part in platform.layout.running().values()]
    done = platform.eventctl("local", "down")
    assert done.returncode == 0, done.stderr
    assert not platform.layout.folder.exists()
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert not mentioning(str(platform.layout.folder))
