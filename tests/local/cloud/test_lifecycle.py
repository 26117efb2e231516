"""The life of resources under the real engine: created, unchanged, changed, drifted, gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.engine import Workspace

Client = Callable[..., Any]

SLICE = """
vpc = aws.ec2.Vpc("main", cidr_block="10.{n}.0.0/16", enable_dns_hostnames={dns}, tags={{"owner": "platform"}})
queue = aws.sqs.Queue("tasks", visibility_timeout_seconds={timeout})
secret = aws.secretsmanager.Secret("api-key", recovery_window_in_days=0)
version = aws.secretsmanager.SecretVersion("api-key", secret_id=secret.id, secret_string="s3cr3t")
pulumi.export("vpc", vpc.id)
pulumi.export("queue", queue.url)
"""


def test_a_stack_comes_up_stays_and_goes(workspace: Workspace, client: Client) -> None:
    workspace.program(SLICE.format(n=1, dns=True, timeout=60))
    first = workspace.up()
    assert first.ok, first.output
    assert first.steps == {"create": 5}
    outputs = workspace.outputs()
    [vpc] = client("ec2").describe_vpcs(VpcIds=[outputs["vpc"]])["Vpcs"]
    assert vpc["CidrBlock"] == "10.1.0.0/16"
    assert {"Key": "owner", "Value": "platform"} in vpc["Tags"]

    second = workspace.up()
    assert second.steps == {"same": 5}, second.output

    gone = workspace.destroy()
    assert gone.ok, gone.output
    assert client("sqs").list_queues(QueueNamePrefix="tasks-").get("QueueUrls", []) == []
