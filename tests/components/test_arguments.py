"""What components refuse before anything is planned."""

from dataclasses import replace
from typing import Any

import pytest

from components.broker import BrokerArgs, Deployment
from components.cache import CacheArgs, Purpose
from components.cluster import ClusterArgs
from components.database import DatabaseArgs, max_connections
from components.network import Nat, NetworkArgs
from components.reach import Surroundings
from components.scaling import Cpu, Scaling
from components.secret_environment import SecretEnvironment
from components.tenancy import Quota
from components.workload import Process, WorkloadArgs

ZONES = ("eu-west-3a", "eu-west-3b", "eu-west-3c")
DATABASE = DatabaseArgs(
    service="booking",
    version="17",
    vpc_id="vpc-1",
    subnet_ids=["subnet-1"],
    clients={"cluster": "sg-1"},
    instance_class="db.t4g.small",
    storage_gib=20,
    max_storage_gib=50,
    multi_az=False,
    backup_days=3,
    connections=30,
)
CLUSTER = ClusterArgs(
    version="1.34",
    vpc_id="vpc-1",
    subnet_ids=["subnet-1"],
    public_access_cidrs=[],
    instance_types=["t3.large"],
    min_nodes=1,
    max_nodes=2,
)
BROKER = BrokerArgs(
    version="4.2",
    vpc_id="vpc-1",
    subnet_ids=["subnet-1"],
    clients={"cluster": "sg-1"},
    services=["booking"],
    queues=["payment.orders"],
    instance_type="mq.m7g.medium",
    deployment=Deployment.SINGLE,
)
NOTHING = SecretEnvironment(sources={}, variables={})
API = Process(name="api", command=["run"], scaling=Scaling(least=1, most=1), reaches=[], serves=True)
WORKLOAD = WorkloadArgs(
    repository_url="registry/booking",
    image_digest="sha256:" + "a" * 64,
    namespace="platform",
    cluster_name="cluster",
    processes=[API],
    environment={},
    secrets=NOTHING,
    migration=NOTHING,
    migration_command=["migrate"],
    surroundings=Surroundings(data_cidrs=["10.20.132.0/24"], balancer_cidrs=["10.20.128.0/24"]),
)


@pytest.mark.parametrize("zones", [ZONES[:1], (*ZONES, "eu-west-3d", "eu-west-3e"), ("eu-west-3a", "eu-west-3a")])
def test_too_few_too_many_or_repeated_zones_are_refused(zones: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="2 to 4 different ones"):
        NetworkArgs(cidr="10.20.0.0/16", region="eu-west-3", zones=zones, nat=Nat.SINGLE)


def test_pools_that_exceed_the_connections_of_the_instance_class_are_refused() -> None:
    most = max_connections("db.t4g.small") - 15
    replace(DATABASE, connections=most)
    with pytest.raises(ValueError, match=f"may open {most + 1} connections .* has {most} to give"):
        replace(DATABASE, connections=most + 1)


def test_an_unknown_instance_class_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"db\.m1\.tiny.*choose from db\.t4g\.micro"):
        replace(DATABASE, instance_class="db.m1.tiny")


@pytest.mark.parametrize("days", [0, 36])
def test_a_database_without_backups_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match=f"backup_days is {days}"):
        replace(DATABASE, backup_days=days)


def test_storage_that_cannot_grow_is_refused() -> None:
    with pytest.raises(ValueError, match="10 % above"):
        replace(DATABASE, max_storage_gib=20)


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "128.0.0.0/1"])
def test_a_cluster_open_to_everyone_is_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match="never open to everyone"):
        replace(CLUSTER, public_access_cidrs=[cidr])


def test_more_nodes_at_least_than_at_most_are_refused() -> None:
    with pytest.raises(ValueError, match="min_nodes is 3 and max_nodes 2"):
        replace(CLUSTER, min_nodes=3)


def test_a_broker_cluster_of_small_instances_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mq\.m7g\.large or larger"):
        replace(BROKER, deployment=Deployment.CLUSTER)


def test_a_cache_with_more_nodes_than_a_group_may_have_is_refused() -> None:
    with pytest.raises(ValueError, match="has 1 to 6"):
        CacheArgs(
            purpose=Purpose.READS,
            vpc_id="vpc-1",
            subnet_ids=["subnet-1"],
            clients={"cluster": "sg-1"},
            version="8.1",
            node_type="cache.t4g.micro",
            nodes=7,
            snapshot_days=0,
        )


@pytest.mark.parametrize("digest", ["latest", "v1.2.3", "sha256:123", "sha256:" + "A" * 64])
def test_an_image_that_is_not_named_by_digest_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="named by its digest"):
        replace(WORKLOAD, image_digest=digest)


def test_two_processes_that_serve_are_refused() -> None:
    two: list[Any] = [replace(API, name=name) for name in ("api", "web")]
    with pytest.raises(ValueError, match="all serve"):
        replace(WORKLOAD, processes=two)


def test_a_broker_whose_memory_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mq\.m7g\.tiny.*choose from mq\.m7g\.medium"):
        replace(BROKER, instance_type="mq.m7g.tiny")


def test_a_range_of_pods_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="scales from 3 to 2 pods"):
        Scaling(least=3, most=2, by=Cpu())


def test_a_range_of_pods_that_nothing_decides_on_is_refused() -> None:
    with pytest.raises(ValueError, match="by nothing; name what decides"):
        Scaling(least=1, most=2)


def test_a_quota_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"quota\.cpu is 0"):
        Quota(pods=1, cpu=0, memory_gib=1)


def test_a_broker_on_instances_that_its_version_does_not_run_on_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mq\.m5\.large.*runs on mq\.m7g alone"):
        replace(BROKER, instance_type="mq.m5.large")
