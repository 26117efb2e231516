"""The engine is killed in the middle of an update, and the next one needs no hand work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest
import requests

from scripts.local.cloud import recovery
from scripts.local.cloud.running import Addresses
from scripts.local.processes import eventually
from tests.support.engine import Workspace

# Names of the program's own, which cannot be there twice; some need others, and some protect themselves.
PROGRAM = """
def after(*needed):
    return pulumi.ResourceOptions(depends_on=needed)

key = aws.kms.Key("key", deletion_window_in_days=7)
alias = aws.kms.Alias("alias", name="alias/recovery", target_key_id=key.id)
logs = aws.cloudwatch.LogGroup("logs", name="/aws/vendedlogs/recovery", opts=after(alias))
queue = aws.sqs.Queue("queue", name="recovery", opts=after(logs))
topic = aws.sns.Topic("topic", name="recovery", opts=after(logs))
user = aws.elasticache.User(
    "user", user_id="recovery", user_name="recovery", engine="redis", access_string="on ~* +@all",
    passwords=["a-password-of-32-characters-long"], opts=after(logs),
)
vpc = aws.ec2.Vpc("vpc", cidr_block="10.9.0.0/16", opts=after(queue))
subnets = [
    aws.ec2.Subnet(f"subnet-{zone}", vpc_id=vpc.id, availability_zone=f"eu-west-3{zone}", cidr_block=cidr)
    for zone, cidr in (("a", "10.9.1.0/24"), ("b", "10.9.2.0/24"))
]
balancer = aws.lb.LoadBalancer(
    "balancer", name="recovery", subnets=[each.id for each in subnets], internal=True, enable_deletion_protection=True
)
trusted = aws.iam.get_policy_document(statements=[
    {"actions": ["sts:AssumeRole"], "principals": [{"type": "Service", "identifiers": ["eks.amazonaws.com"]}]},
])
role = aws.iam.Role("role", name="recovery", assume_role_policy=trusted.json)
allowed = aws.iam.get_policy_document(statements=[{"actions": ["sqs:SendMessage"], "resources": ["*"]}])
rule = aws.iam.RolePolicy("rule", name="recovery", role=role.id, policy=allowed.json)
secret = aws.secretsmanager.Secret("secret", name="recovery/secret", recovery_window_in_days=7, opts=after(logs))
repository = aws.ecr.Repository("repository", name="recovery/service", opts=after(balancer))
bucket = aws.s3.Bucket("bucket", bucket="recovery-bucket", opts=after(repository))
table = aws.dynamodb.Table(
    "table", name="recovery", hash_key="id", attributes=[{"name": "id", "type": "S"}], billing_mode="PAY_PER_REQUEST",
    opts=after(bucket),
)
"""
COUNT = 16
# These are being made when the engine dies, each in so many seconds: it never hears of them.
UNHEARD = {"topic": 6, "user": 6, "secret": 6, "balancer": 3}


def test_an_update_that_was_killed_is_taken_up_again_without_hand_work(
    workspace: Workspace, cloud: Addresses, inject: Callable[..., None]
) -> None:
    workspace.program(PROGRAM)
    for name, seconds in UNHEARD.items():
        inject(kind="slow-create", name=name, seconds=seconds)
    engine = workspace.start("up", "--yes", "--skip-preview")
    assert eventually(lambda: _all_under_way(cloud) or engine.poll() is not None, timeout=60)
    assert engine.poll() is None
    with pytest.raises(recovery.NotRecovered, match=f"an engine is at work on this stack, pid {engine.pid}"):
        recovery.recover(workspace.automated(), workspace.state, cloud.control)
    _kill(psutil.Process(engine.pid))
    engine.wait(10)

    removed = recovery.recover(workspace.automated(), workspace.state, cloud.control)
    assert set(UNHEARD) <= {urn.rsplit("::", 1)[1] for urn in removed}
    mended = workspace.up()
    assert mended.ok, mended.output
    assert mended.steps["same"] > 1, "what was recorded is kept"
    assert sum(mended.steps.values()) == COUNT + 1

    assert recovery.recover(workspace.automated(), workspace.state, cloud.control) == []
    unchanged = workspace.up()
    assert unchanged.steps == {"same": COUNT + 1}, unchanged.output


def test_what_another_stack_made_is_left_alone(
    workspace: Workspace, cloud: Addresses, client: Callable[..., Any]
) -> None:
    workspace.program('aws.sqs.Queue("other", name="of-another-stack")')
    workspace.up()
    asked = {"project": "sample", "stack": "another", "recorded": []}
    answer = requests.post(f"{cloud.control}/orphans", json=asked, timeout=10)
    assert answer.json() == {"removed": []}
    assert client("sqs").get_queue_url(QueueName="of-another-stack")["QueueUrl"]
    workspace.destroy()


def _kill(engine: psutil.Process) -> None:
    """The engine first, so that it sees none of its children end."""
    family = [engine, *engine.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _all_under_way(cloud: Addresses) -> bool:
    return not requests.get(f"{cloud.control}/faults", timeout=10).json()
