"""The life of resources under the real engine: created, unchanged, changed, replaced, drifted, imported, gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.engine import Workspace

Client = Callable[..., Any]

SLICE = """
vpc = aws.ec2.Vpc("main", cidr_block="{cidr}", enable_dns_hostnames=True, tags={{"owner": "{owner}"}})
queue = aws.sqs.Queue("tasks", visibility_timeout_seconds={timeout})
secret = aws.secretsmanager.Secret("api-key", recovery_window_in_days=0)
version = aws.secretsmanager.SecretVersion("api-key", secret_id=secret.id, secret_string=pulumi.Output.secret("s3cr3t"))
pulumi.export("vpc", vpc.id)
pulumi.export("queue", queue.url)
pulumi.export("secret", secret.arn)
"""
AS_FIRST = {"cidr": "10.1.0.0/16", "owner": "platform", "timeout": 60}


def test_a_stack_comes_up_stays_unchanged_and_goes(workspace: Workspace, client: Client) -> None:
    workspace.program(SLICE.format(**AS_FIRST))
    first = workspace.up()
    assert first.steps == {"create": 5}, first.output
    outputs = workspace.outputs()
    [vpc] = client("ec2").describe_vpcs(VpcIds=[outputs["vpc"]])["Vpcs"]
    assert vpc["CidrBlock"] == "10.1.0.0/16"
    assert {"Key": "owner", "Value": "platform"} in vpc["Tags"]
    assert client("secretsmanager").get_secret_value(SecretId=outputs["secret"])["SecretString"] == "s3cr3t"

    second = workspace.up()
    assert second.steps == {"same": 5}, second.output

    gone = workspace.destroy()
    assert gone.ok, gone.output
    assert "QueueUrls" not in client("sqs").list_queues(QueueNamePrefix="tasks-")


def test_a_change_in_place_keeps_the_resource_and_a_fixed_property_replaces_it(
    workspace: Workspace, client: Client
) -> None:
    workspace.program(SLICE.format(**AS_FIRST))
    workspace.up()
    before = workspace.outputs()

    workspace.program(SLICE.format(**{**AS_FIRST, "timeout": 90, "owner": "events"}))
    changed = workspace.up()
    assert changed.steps == {"update": 2, "same": 3}, changed.output
    assert workspace.outputs() == before
    attributes = client("sqs").get_queue_attributes(QueueUrl=before["queue"], AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "90"
    [vpc] = client("ec2").describe_vpcs(VpcIds=[before["vpc"]])["Vpcs"]
    assert {"Key": "owner", "Value": "events"} in vpc["Tags"]

    workspace.program(SLICE.format(**{**AS_FIRST, "timeout": 90, "owner": "events", "cidr": "10.2.0.0/16"}))
    replaced = workspace.up()
    assert replaced.steps["replace"] == 1, replaced.output
    assert workspace.outputs()["vpc"] != before["vpc"]
    vpcs = client("ec2").describe_vpcs(Filters=[{"Name": "tag:owner", "Values": ["events"]}])["Vpcs"]
    assert [vpc["CidrBlock"] for vpc in vpcs] == ["10.2.0.0/16"]
    workspace.destroy()


def test_refresh_sees_what_somebody_changed_and_up_puts_it_back(workspace: Workspace, client: Client) -> None:
    workspace.program(SLICE.format(**AS_FIRST))
    workspace.up()
    queue = workspace.outputs()["queue"]
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5"})

    refreshed = workspace.refresh()
    assert refreshed.steps == {"update": 1, "same": 4}, refreshed.output
    assert workspace.resources()["tasks"]["outputs"]["visibilityTimeoutSeconds"] in (5, "5")

    mended = workspace.up()
    assert mended.steps == {"update": 1, "same": 4}, mended.output
    attributes = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "60"
    workspace.destroy()


def test_refresh_sees_a_resource_that_somebody_deleted_and_up_makes_it_again(
    workspace: Workspace, client: Client
) -> None:
    workspace.program(SLICE.format(**AS_FIRST))
    workspace.up()
    client("sqs").delete_queue(QueueUrl=workspace.outputs()["queue"])

    refreshed = workspace.refresh()
    assert refreshed.steps == {"delete": 1, "same": 4}, refreshed.output
    again = workspace.up()
    assert again.steps == {"create": 1, "same": 4}, again.output
    workspace.destroy()


def test_a_property_in_ignore_changes_is_left_alone(workspace: Workspace) -> None:
    program = """
    aws.sqs.Queue("tasks", delay_seconds={0}, opts=pulumi.ResourceOptions(ignore_changes=["delaySeconds"]))
    """
    workspace.program(program.format(1))
    workspace.up()
    workspace.program(program.format(9))
    assert workspace.up().steps == {"same": 2}
    workspace.destroy()


def test_an_existing_resource_is_imported_and_then_managed(workspace: Workspace, client: Client) -> None:
    url = client("sqs").create_queue(QueueName="made-by-hand", Attributes={"VisibilityTimeout": "77"})["QueueUrl"]
    workspace.program(
        f"""
    aws.sqs.Queue("adopted", name="made-by-hand", visibility_timeout_seconds=77,
                  opts=pulumi.ResourceOptions(import_={url!r}))
    """
    )
    imported = workspace.up()
    assert imported.ok, imported.output
    assert workspace.resources()["adopted"]["id"] == url
    assert workspace.up().steps == {"same": 2}
    workspace.destroy()
    assert "QueueUrls" not in client("sqs").list_queues(QueueNamePrefix="made-by-hand")


def test_an_explicit_provider_has_its_own_region_and_default_tags(workspace: Workspace, client: Client) -> None:
    workspace.program(
        """
    tagged = aws.Provider("tagged", region="eu-west-1", default_tags={"tags": {"cost-centre": "42"}})
    aws.sqs.Queue("elsewhere", tags={"own": "yes"}, opts=pulumi.ResourceOptions(provider=tagged))
    aws.sqs.Queue("at-home", opts=pulumi.ResourceOptions())
    aws.sqs.Queue("on-its-own", region="us-east-1")
    """
    )
    assert workspace.up().ok
    resources = workspace.resources()
    assert resources["elsewhere"]["outputs"]["tagsAll"] == {"cost-centre": "42", "own": "yes"}
    assert resources["at-home"]["outputs"].get("tagsAll", {}) == {}
    tags = client("sqs", "eu-west-1").list_queue_tags(QueueUrl=resources["elsewhere"]["id"])["Tags"]
    assert tags == {"cost-centre": "42", "own": "yes"}
    regions = {name: item["outputs"]["arn"].split(":")[3] for name, item in resources.items()}
    assert regions == {"elsewhere": "eu-west-1", "at-home": "eu-west-3", "on-its-own": "us-east-1"}
    assert workspace.up().steps["same"] == 5
    workspace.destroy()


def test_the_state_of_the_stack_and_boto3_agree(workspace: Workspace, client: Client) -> None:
    workspace.program(
        """
    vpc = aws.ec2.Vpc("main", cidr_block="10.9.0.0/16")
    for zone, block in (("a", "10.9.0.0/24"), ("b", "10.9.1.0/24")):
        aws.ec2.Subnet(zone, vpc_id=vpc.id, cidr_block=block, availability_zone="eu-west-3" + zone)
    """
    )
    workspace.up()
    resources = workspace.resources()
    vpc = resources["main"]["id"]
    listed = client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    told = {item["id"]: item["outputs"]["arn"] for name, item in resources.items() if name != "main"}
    assert {subnet["SubnetId"]: subnet["SubnetArn"] for subnet in listed} == told
    workspace.destroy()
    assert client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"] == []


MANAGED = """
aws.rds.Instance("kept", engine="postgres", engine_version="17", instance_class="db.t4g.micro", allocated_storage=20,
    username="kept_owner", manage_master_user_password=True, storage_encrypted=True, skip_final_snapshot=True,
    backup_retention_period={days})
"""


def test_a_changed_database_keeps_the_secret_that_rds_made_and_takes_it_along_when_it_goes(
    workspace: Workspace, client: Client
) -> None:
    def secrets() -> set[str]:
        listed = client("secretsmanager").list_secrets()["SecretList"]
        return {found["Name"] for found in listed if found["Name"].startswith("rds!")}

    before = secrets()
    workspace.program(MANAGED.format(days=1))
    workspace.up()
    [made] = secrets() - before
    workspace.program(MANAGED.format(days=2))
    changed = workspace.up()
    assert changed.steps["update"] == 1, changed.output
    assert secrets() - before == {made}
    workspace.destroy()
    assert secrets() == before
