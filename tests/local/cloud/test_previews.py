"""What a preview knows, and what only the cloud can tell."""

from __future__ import annotations

from scripts.local.cloud.aws import AwsBackend
from scripts.local.cloud.backend import UNKNOWN, Resource
from scripts.local.cloud.session import Session

CLUSTER = "aws:eks/cluster:Cluster"
INPUTS = {"name": "events", "roleArn": "arn:aws:iam::1:role/r", "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}
RESOURCE = Resource(f"urn:pulumi:test::sample::{CLUSTER}::events", CLUSTER, "events")
# A preview asks nobody.
NOWHERE = AwsBackend(Session("http://127.0.0.1:9", "123456789012"), "eu-west-3")


def test_what_a_cluster_gets_from_the_cloud_is_unknown_before_it_is_made() -> None:
    expected = NOWHERE.create(RESOURCE, INPUTS, preview=True, timeout=0)
    told = {"clusterSecurityGroupId": UNKNOWN, "vpcId": UNKNOWN}
    assert expected.state["vpcConfig"] == {"subnetIds": ["subnet-1", "subnet-2"], **told}
    assert expected.state["endpoint"] is UNKNOWN


def test_what_a_cluster_got_stays_known_when_something_else_changes() -> None:
    got = {"clusterSecurityGroupId": "sg-1", "vpcId": "vpc-1"}
    state = {**INPUTS, "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], **got}}
    expected = NOWHERE.update(
        RESOURCE, "events", state, INPUTS, {**INPUTS, "version": "1.34"}, preview=True, timeout=0, ignore=[]
    )
    assert expected["vpcConfig"] == {"subnetIds": ["subnet-1", "subnet-2"], **got}
    assert expected["version"] == "1.34"
