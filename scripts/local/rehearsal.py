"""A stack on a cloud and a Kubernetes that last as long as a ``with`` block: to see all of it made and removed.

AWS is simulated, the Kubernetes control plane is real and its node hollow: every object is validated, admitted and
scheduled as it would be on EKS, and no container runs. The secrets that people fill in by hand hold a word instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jmespath

from scripts.deployment import Say
from scripts.local import processes
from scripts.local.cloud import data_plane, running
from scripts.local.kubernetes.cluster import Cluster
from scripts.local.kubernetes.control_plane import ControlPlane
from scripts.local.platform.layout import Layout
from scripts.local.stack import Stack
from scripts.toolchain import kubernetes
from scripts.toolchain.pulumi import Engine
from stacks.by_hand import SECRETS_SET_BY_HAND

REGION = "eu-west-3"


@contextmanager
def rehearsing(
    name: str, folder: Path, engine: Engine, say: Say, *, settings: Mapping[str, Any] | None = None
) -> Iterator[Stack]:
    """The stack ``name``, ready to go up. Ends and removes everything after the block.

    Raises CannotObtain, NotReady and Failed.
    """
    programs = kubernetes.obtain(say)
    layout = Layout(folder)
    block = layout.claim_block()
    with ExitStack() as ending:
        plane = ControlPlane.on_free_ports(folder / "kubernetes", programs, block)
        plane.prepare()
        say("starting a cloud and Kubernetes")
        cloud = ending.enter_context(
            running.running(
                region=REGION,
                folder=folder / "cloud",
                data_plane=data_plane.DataPlane(
                    kubernetes=data_plane.Kubernetes(kubeconfig=plane.kubeconfig()),
                    secrets={
                        f"{name}/{secret}": json.dumps(dict.fromkeys(keys, "set-by-hand"))
                        for secret, keys in SECRETS_SET_BY_HAND.items()
                    },
                ),
            )
        )
        cluster = Cluster(
            plane=plane,
            images=layout.images,
            region=REGION,
            aws_endpoint=cloud.endpoint,
            eks_cluster=f"{name}-cluster",
            hollow=True,
        )
        for part in cluster.start(with_parent=True):
            ending.callback(processes.end, part)
        yield Stack(name, folder, cloud, engine, settings=settings, lasting=False)


# What an account without an environment has none of: service, call, where its answer has names. What AWS itself goes on
# showing after a deletion (gateways for an hour, keys and secrets for their waiting time) is left out.
_LISTED = (
    ("ec2", "describe_vpcs", "Vpcs[?!IsDefault].VpcId"),
    ("ec2", "describe_nat_gateways", "NatGateways[?State!='deleted'].NatGatewayId"),
    ("ec2", "describe_addresses", "Addresses[].AllocationId"),
    ("ec2", "describe_launch_templates", "LaunchTemplates[].LaunchTemplateName"),
    ("ecr", "describe_repositories", "repositories[].repositoryName"),
    ("eks", "list_clusters", "clusters"),
    ("elasticache", "describe_replication_groups", "ReplicationGroups[?Status!='deleting'].ReplicationGroupId"),
    ("elbv2", "describe_load_balancers", "LoadBalancers[].LoadBalancerName"),
    ("iam", "list_roles", "Roles[].RoleName"),
    ("lambda", "list_functions", "Functions[].FunctionName"),
    # Moto makes these with each function; on AWS ours write to groups of their own.
    ("logs", "describe_log_groups", "logGroups[?!starts_with(logGroupName, '/aws/lambda/')].logGroupName"),
    ("mq", "list_brokers", "BrokerSummaries[].BrokerName"),
    ("rds", "describe_db_instances", "DBInstances[].DBInstanceIdentifier"),
    ("rds", "describe_db_proxies", "DBProxies[].DBProxyName"),
    ("s3", "list_buckets", "Buckets[].Name"),
    ("secretsmanager", "list_secrets", "SecretList[?!DeletedDate].Name"),
    ("sns", "list_topics", "Topics[].TopicArn"),
    ("sqs", "list_queues", "QueueUrls"),
    ("stepfunctions", "list_state_machines", "stateMachines[].stateMachineArn"),
)


def left_over(stack: Stack) -> list[str]:
    """What AWS still has after a destroy, by its own answers."""
    return [
        f"{service} {name}"
        for service, call, names in _LISTED
        for name in jmespath.search(names, getattr(stack.client(service), call)()) or []
    ]


def unprotect(stack: Stack, say: Say) -> None:
    """Make an environment removable, as its documentation says: ``protected: false``, and up at the packs' own levels.

    Those of production ask for the protection that goes. One that is removable already is left as it is. It is not
    planned first: what it takes away, it takes away from here. Raises Failed.
    """
    if any(resource.get("protect") for resource in stack.export().get("resources", [])):
        stack.settings({"protected": False})
        stack.enforce("default")
        stack.make(say)
