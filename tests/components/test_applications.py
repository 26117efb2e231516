"""Software of others is as restricted as ours, closed to all but its callers, and set up by jobs that come after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulumi_kubernetes as k8s
import pytest
from pulumi_aws import cloudwatch, secretsmanager

from components.analytics import Analytics, AnalyticsArgs
from components.application import ApplicationArgs
from components.application_pod import Probes
from components.database import Database, DatabaseArgs
from components.identity import Identity, IdentityArgs
from components.own_database import Setting
from components.reach import Surroundings
from components.realm import RealmArgs
from components.search import Search, SearchArgs, nodes
from components.secret_environment import SecretEnvironment
from components.secrets import Secrets
from components.setup_job import SetupJobArgs
from services.setup import analytics, database_role, realm, search
from stacks import applications
from tests.support.recording import CONTEXT, Recording, record

IMAGE = "registry.example.com/software:1.2@sha256:" + "a" * 64
NAMES = ("identity", "search", "analytics")
SURROUNDINGS = Surroundings(data_cidrs=["10.20.132.0/24"], balancer_cidrs=["10.20.128.0/24"])
RUNS: dict[str, Any] = {"image": IMAGE, "replicas": 3, "cpu": "100m", "memory": "1Gi", "configure": True}
each_name = pytest.mark.parametrize("name", NAMES)


def database(owner: str, secrets: Secrets) -> Database:
    args = DatabaseArgs(
        service=owner,
        version="17",
        vpc_id="vpc-1",
        subnet_ids=["subnet-1"],
        clients={"cluster": "sg-1"},
        instance_class="db.t4g.micro",
        storage_gib=20,
        max_storage_gib=30,
        multi_az=False,
        backup_days=3,
        connections=20,
        reader=False,
    )
    return Database(f"{owner}-database", args, secrets=secrets, context=CONTEXT)


def build(**changed: Any) -> None:
    secrets = Secrets("secrets", context=CONTEXT)
    setting = Setting(image="ours@sha256:1", namespace="platform", cluster_name="c", surroundings=SURROUNDINGS)
    by_hand: dict[str, Any] = {name: secrets.external(name, about=name) for name in ("social", "mail", "authorities")}
    runs = {**RUNS, **changed}
    Identity(
        "identity",
        IdentityArgs(
            **runs,
            **by_hand,
            url="https://identity.example.com",
            pool=10,
            realm=RealmArgs(
                web_origins=["https://w.example.com"], app_links=["https://a.example.com/x"], mail_from="a@b"
            ),
            database=database("identity", secrets),
            setting=setting,
            role_command=applications.ROLE,
            realm_command=applications.REALM,
        ),
        secrets=secrets,
        context=CONTEXT,
    )
    Search(
        "search",
        SearchArgs(
            **runs,
            gib=5,
            storage_class="encrypted",
            callers=applications.SEARCHING,
            setting=setting,
            command=applications.SEARCH,
        ),
        secrets=secrets,
        context=CONTEXT,
    )
    Analytics(
        "analytics",
        AnalyticsArgs(
            **runs,
            url="https://figures.example.com",
            pool=10,
            database=database("analytics", secrets),
            readers={name: secretsmanager.Secret(f"{name}-reader") for name in ("booking", "payment", "notification")},
            administrator_address="platform@example.com",
            setting=setting,
            role_command=applications.ROLE,
            content_command=applications.CONTENT,
            authorities=by_hand["authorities"],
        ),
        secrets=secrets,
        context=CONTEXT,
    )


@pytest.fixture(scope="module")
def made() -> Recording:
    return record(build)


def workload(made: Recording, name: str) -> dict[str, Any]:
    kind = k8s.apps.v1.StatefulSet if name == "search" else k8s.apps.v1.Deployment
    spec: dict[str, Any] = made.one(kind, name).inputs["spec"]
    return spec


def pods(made: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in NAMES:
        yield name, workload(made, name)["template"]["spec"]
    for job in made.all(k8s.batch.v1.Job).values():
        yield job.name, job.inputs["spec"]["template"]["spec"]


def test_every_container_is_restricted_bounded_and_changes_none_of_its_own_files(made: Recording) -> None:
    for name, pod in pods(made):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"], name


@each_name
def test_every_application_is_probed_spread_and_evicted_one_pod_at_a_time(made: Recording, name: str) -> None:
    spec = workload(made, name)
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 3
    [main] = pod["containers"]
    assert main["image"] == IMAGE
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert main[probe]["httpGet"]["port"] in {port["name"] for port in main["ports"]}
    assert [each["topologyKey"] for each in pod["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    budget = made.one(k8s.policy.v1.PodDisruptionBudget, name).inputs["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == spec["selector"]


@each_name
def test_what_a_pod_mounts_is_there_and_nothing_else(made: Recording, name: str) -> None:
    spec = workload(made, name)
    pod = spec["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    mounted = {
        mount["name"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]
        for mount in container["volumeMounts"]
    }
    assert mounted == volumes


def test_keycloak_answers_for_its_health_on_the_management_port_which_no_service_opens(made: Recording) -> None:
    [main] = workload(made, "identity")["template"]["spec"]["containers"]
    assert main["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "management"}
    service = made.one(k8s.core.v1.Service, "identity").inputs["spec"]
    assert [port["name"] for port in service["ports"]] == ["http"]


def test_only_named_pods_search(made: Recording) -> None:
    [clients, among] = made.one(k8s.networking.v1.NetworkPolicy, "search-reach").inputs["spec"]["ingress"]
    named = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in clients["from"]]
    assert named == ["booking", "search-schema"]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in among["from"]] == ["search"]


@pytest.mark.parametrize("name", ["identity", "analytics"])
def test_people_come_through_the_load_balancers_alone(made: Recording, name: str) -> None:
    [clients, *_] = made.one(k8s.networking.v1.NetworkPolicy, f"{name}-reach").inputs["spec"]["ingress"]
    assert clients["from"][0] == {"ipBlock": {"cidr": "10.20.128.0/24"}}
    assert all("podSelector" in peer for peer in clients["from"][1:])


def test_databases_are_spoken_to_over_verified_tls_as_one_role_whoever_signs_in(made: Recording) -> None:
    for name, variable in (("identity", "KC_DB_URL"), ("analytics", "MB_DB_CONNECTION_URI")):
        [secret] = [one for one in made.resources if one.name == f"{name}-environment"]
        url = secret.inputs["spec"]["target"]["template"]["data"][variable]
        assert "sslmode=verify-full" in url
        assert url.endswith(f"options=-c%20role={name}_service")


def test_search_keeps_its_index_on_a_disk_of_each_node_and_nodes_find_each_other(made: Recording) -> None:
    spec = workload(made, "search")
    [claim] = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "encrypted"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Retain"}
    listed = made.one(k8s.core.v1.ConfigMap, "search-typesense").inputs["data"]["nodes"]
    assert listed == nodes("search", 3)
    assert [node.split(":")[0] for node in listed.split(",")] == [
        f"search-{number}.{spec['serviceName']}" for number in range(3)
    ]
    assert made.one(k8s.core.v1.Service, "search-peers").inputs["spec"]["publishNotReadyAddresses"]


def test_one_node_alone_has_no_budget_of_disruptions() -> None:
    alone = record(lambda: build(replicas=1))
    assert not alone.all(k8s.policy.v1.PodDisruptionBudget)


def test_where_the_image_does_not_run_nobody_is_asked() -> None:
    unasked = record(lambda: build(configure=False))
    assert set(unasked.all(k8s.batch.v1.Job)) == {"identity-database-role", "analytics-database-role"}


def test_documents_are_applied_once_for_each_change_and_again_every_hour(made: Recording) -> None:
    jobs, repeated = made.all(k8s.batch.v1.Job), made.all(k8s.batch.v1.CronJob)
    assert set(repeated) == {"identity-realm", "search-schema", "analytics-content"}
    assert len({job.inputs["spec"]["schedule"] for job in repeated.values()}) == len(repeated)
    for name, variable in (("identity-realm", "REALM"), ("search-schema", "SEARCH_SCHEMA")):
        assert jobs[name].inputs["metadata"]["name"].startswith(f"{name}-")
        [container] = jobs[name].inputs["spec"]["template"]["spec"]["containers"]
        assert json.loads({each["name"]: each.get("value") for each in container["env"]}[variable])


def test_the_jobs_run_programs_that_exist() -> None:
    programs = {applications.ROLE[-1]: database_role, applications.REALM[-1]: realm}
    programs |= {applications.SEARCH[-1]: search, applications.CONTENT[-1]: analytics}
    assert {name: program.main.__module__ for name, program in programs.items()} == {name: name for name in programs}


def test_each_has_alarms_that_ring_when_nothing_is_counted(made: Recording) -> None:
    for name in NAMES:
        inputs = made.one(cloudwatch.MetricAlarm, f"{name}-pods").inputs
        assert inputs["treatMissingData"] == "breaching"
        assert inputs["threshold"] == 3
        assert inputs["tags"]["Severity"] == ("ticket" if name == "analytics" else "page")


@pytest.mark.parametrize("replicas", [2, 4, 9])
def test_an_even_number_of_search_nodes_is_refused(replicas: int) -> None:
    setting = Setting(image="i", namespace="n", cluster_name="c", surroundings=SURROUNDINGS)
    with pytest.raises(ValueError, match=f"replicas is {replicas}; nodes decide by majority"):
        SearchArgs(**{**RUNS, "replicas": replicas}, gib=1, storage_class="s", callers=(), setting=setting, command=())


APPLICATION = ApplicationArgs(
    image=IMAGE,
    namespace="platform",
    replicas=1,
    cpu="1",
    memory="1Gi",
    user=1000,
    ports={"http": 80},
    probes=Probes(port="http", started="/a", live="/a", ready="/a", start_seconds=60),
    surroundings=SURROUNDINGS,
    secrets=SecretEnvironment(sources={}, variables={}),
)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"image": "software:1.2"}, "image is 'software:1.2'; an image is named by its digest"),
        ({"image": "software@sha256:123"}, "named by its digest"),
        ({"replicas": 0}, "replicas is 0"),
        ({"ports": {"web": 80}}, "the one behind the Service is called 'http'"),
    ],
)
def test_an_application_that_cannot_be_run_safely_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(APPLICATION, **changed)


JOB = SetupJobArgs(
    image=IMAGE,
    command=["run"],
    namespace="platform",
    documents={"DOCUMENT": "{}"},
    secrets=SecretEnvironment(sources={}, variables={}),
    surroundings=SURROUNDINGS,
)


def test_a_document_that_no_variable_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="DOCUMENT is 131072 bytes long; a variable takes 131071 at most"):
        replace(JOB, documents={"DOCUMENT": "x" * 131_072})


def test_a_schedule_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="every is 'hourly'; write a cron expression of five fields"):
        replace(JOB, every="hourly")
