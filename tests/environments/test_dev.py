"""Dev whole, on the simulated cloud: the same shape as production, smaller, and gone without a step in between."""

from __future__ import annotations

import ast
import asyncio
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from kubernetes.client import AuthorizationV1Api
from kubernetes.config import new_client_from_config
from typer.testing import CliRunner

from components.canary_spec import shares
from components.functions.canary_rollback import settle_all
from components.responder_access import GROUP
from scripts.cli import app, pull_request, release, update
from scripts.deployment import ROOT
from scripts.local import rehearsal
from scripts.releases.history import history
from services.common.aws import Threads
from services.common.executions import ExecutionReader, ExecutionStarter
from services.common.outbox import OutboxMessage
from stacks.settings import SERVICES
from tests.environments.conftest import Made, quiet
from tests.support.kubectl import commands
from tests.support.permissions import denied, enforcing, taking

RUN = CliRunner()
pytestmark = pytest.mark.timeout(600)


def test_dev_is_made_and_made_again_without_a_change(dev: Made) -> None:
    assert set(dev.changes) == {"create"}
    assert dev.changes["create"] > 200
    assert set(dev.stack.make(quiet)) == {"same"}


def test_dev_has_one_node_of_everything_and_nothing_is_protected(dev: Made) -> None:
    program = dev.program
    assert not [one.name for one in program.resources if one.protect]
    assert not any(one["multiAz"] for one in program.all("aws:rds/instance:Instance"))
    assert {one["numCacheClusters"] for one in program.all("aws:elasticache/replicationGroup:ReplicationGroup")} == {1}


def test_in_the_midst_of_a_canary_and_after_it_was_taken_back_a_preview_shows_no_difference(dev: Made) -> None:
    outputs = next(one for one in dev.state["resources"] if one["type"] == "pulumi:pulumi:Stack")["outputs"]
    canary, elb = outputs["canaries"]["booking"], dev.stack.client("elbv2")

    def weights() -> dict[str, int]:
        [action] = elb.describe_rules(RuleArns=[canary["rule"]])["Rules"][0]["Actions"]
        return {each["TargetGroupArn"]: each["Weight"] for each in action["ForwardConfig"]["TargetGroups"]}

    assert weights() == {canary["stable"]: 999, canary["canary"]: 0}
    groups = [{"TargetGroupArn": canary[track], "Weight": share} for track, share in shares(250).items()]
    elb.modify_rule(RuleArn=canary["rule"], Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    assert set(dev.stack.preview(quiet)) == {"same"}
    assert weights() == {canary["stable"]: 750, canary["canary"]: 250}

    [target] = dev.stack.client("events").list_targets_by_rule(Rule=_schedule(dev))["Targets"]
    outcomes = settle_all(json.loads(target["Input"]), elb, dev.stack.client("ssm"), now=datetime.now(UTC))
    assert outcomes.pop(canary["rule"]) == "taken back"
    assert set(outcomes.values()) == {"no traffic"}
    assert set(dev.stack.preview(quiet)) == {"same"}


def _schedule(dev: Made) -> str:
    """The rule that looks at leases, every minute."""
    [rule] = [one for one in dev.program.all("aws:cloudwatch/eventRule:EventRule") if one["scheduleExpression"]]
    return rule.id


# By client, what the services call; a test holds it to their sources.
CALLS: Mapping[str, set[str]] = {
    "sqs": {"receive_message", "delete_message", "change_message_visibility"},
    "stepfunctions": {
        "send_task_success",
        "send_task_failure",
        "send_task_heartbeat",
        "start_execution",
        "describe_execution",
        "get_execution_history",
    },
}


class TestServicesWorkUnderTheRolesThatTheStackMade:
    """IAM enforced: what a service calls is allowed on its own things, and nothing else is."""

    def clients(self, dev: Made, service: str) -> Any:
        [association] = [
            one
            for one in dev.program.all("aws:eks/podIdentityAssociation:PodIdentityAssociation")
            if one["serviceAccount"] == service
        ]
        return taking(dev.stack.cloud, association["roleArn"])

    def test_these_are_all_the_calls_of_the_services(self) -> None:
        session = botocore.session.get_session()
        known = {
            client: {xform_name(name) for name in session.get_service_model(client).operation_names} for client in CALLS
        }
        called: dict[str, set[str]] = {client: set() for client in CALLS}
        for path in (ROOT / "services").rglob("*.py"):
            for word in _words(ast.parse(path.read_text())):
                for client, operations in known.items():
                    if word in operations:
                        called[client].add(word)
        assert called == CALLS

    @pytest.mark.parametrize("service", SERVICES)
    def test_a_worker_takes_its_commands_and_answers_them(self, dev: Made, service: str) -> None:
        make, queue = self.clients(dev, service), dev.stack.outputs()["queueUrls"][service]
        sqs, states = make("sqs"), make("stepfunctions")
        with enforcing(dev.stack.cloud):
            assert "Messages" not in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
            for call, parameters in (
                (sqs.change_message_visibility, {"QueueUrl": queue, "ReceiptHandle": "none", "VisibilityTimeout": 5}),
                (sqs.delete_message, {"QueueUrl": queue, "ReceiptHandle": "none"}),
                (states.send_task_heartbeat, {"taskToken": "none"}),
                (states.send_task_success, {"taskToken": "none", "output": "{}"}),
                (states.send_task_failure, {"taskToken": "none", "error": "Transient"}),
            ):
                assert not _refused(call, parameters), call.__name__

    @pytest.mark.parametrize("service", SERVICES)
    def test_it_touches_nothing_of_anybody_else(self, dev: Made, service: str) -> None:
        make, outputs = self.clients(dev, service), dev.stack.outputs()
        sqs = make("sqs")
        own = outputs["queueUrls"][service]
        others = [url for name, url in outputs["queueUrls"].items() if name != service]
        with enforcing(dev.stack.cloud):
            for other in others:
                assert denied(sqs.receive_message, QueueUrl=other)
            assert denied(sqs.purge_queue, QueueUrl=own)
            assert denied(sqs.send_message, QueueUrl=own, MessageBody="{}")
            secret = outputs["databaseSecretArns"][service]
            assert denied(make("secretsmanager").get_secret_value, SecretId=secret)
            assert denied(make("rds").describe_db_instances)
            assert denied(make("iam").list_roles)
            if service != "booking":
                assert denied(
                    make("stepfunctions").start_execution, stateMachineArn=outputs["stateMachineArn"], name="x"
                )

    async def test_booking_starts_sagas_and_reads_their_trail(self, dev: Made) -> None:
        states, arn = self.clients(dev, "booking")("stepfunctions"), dev.stack.outputs()["stateMachineAliasArn"]
        order, threads = str(uuid.uuid4()), Threads(1)
        message = OutboxMessage(uuid.uuid4(), "saga", order, {"orderId": order}, datetime.now(UTC).isoformat())
        with enforcing(dev.stack.cloud):
            await ExecutionStarter(states, arn, threads, per_second=100).publish(message)
            read = await asyncio.wait_for(ExecutionReader(states, arn, threads).read(order), 10)
            assert denied(states.stop_execution, executionArn=read["executionArn"])
        assert read["status"] != "NOT_STARTED"


class TestOnCallInTheCluster:
    """What Kubernetes allows whoever has taken the incident role."""

    @pytest.fixture
    def may(self, dev: Made) -> Callable[..., bool]:
        kubeconfig = dev.stack.folder / "kubernetes" / "admin.kubeconfig"
        reviews = AuthorizationV1Api(new_client_from_config(str(kubeconfig)))

        def ask(verb: str, resource: str, namespace: str = "platform", **more: str) -> bool:
            kind, _, group = resource.partition(".")
            kind, _, part = kind.partition("/")
            asked = {"verb": verb, "resource": kind, "group": group, "namespace": namespace, **more}
            spec = {"user": "somebody", "groups": [GROUP], "resourceAttributes": {**asked, "subresource": part}}
            review = reviews.create_subject_access_review({"spec": spec})
            return bool(review.status.allowed)

        return ask

    def test_every_command_of_the_runbooks_is_allowed(self, may: Callable[..., bool]) -> None:
        asked = {each for file in (ROOT / "runbooks").glob("*.md") for each in commands(file.read_text())}
        assert len(asked) > 15
        assert {each for each in asked if not may(*each)} == set()

    @pytest.mark.parametrize(
        ("verb", "resource", "namespace"),
        [
            ("get", "secrets", "platform"),
            ("list", "secrets", "kube-system"),
            ("create", "rolebindings.rbac.authorization.k8s.io", "platform"),
            ("patch", "deployments.apps", "kube-system"),
            ("delete", "pods", "kube-system"),
            ("create", "serviceaccounts/token", "platform"),
            ("delete", "namespaces", ""),
            ("impersonate", "users", ""),
            ("create", "pods/exec", "platform"),
        ],
    )
    def test_it_gives_nobody_more(self, may: Callable[..., bool], verb: str, resource: str, namespace: str) -> None:
        assert not may(verb, resource, namespace)

    def test_only_the_services_namespace_can_be_noted_on(self, may: Callable[..., bool]) -> None:
        assert may("patch", "namespaces", "", name="platform")
        assert not may("patch", "namespaces", "", name="kube-system")

    def test_prometheus_is_asked_and_alerts_are_silenced_through_the_api_server_and_nobody_else_is_reached_so(
        self, may: Callable[..., bool]
    ) -> None:
        namespace, names = "kube-prometheus-stack", ("prometheus:9090", "alertmanager:9093")
        allowed = {
            (verb, name)
            for name in (*names, "grafana:80")
            for verb in ("get", "create", "delete")
            if may(verb, "services/proxy", namespace, name=f"{namespace}-{name}")
        }
        assert allowed == {("get", names[0]), *((verb, names[1]) for verb in ("get", "create", "delete"))}


class TestPipelines:
    """What the workflows run, on dev: the same commands, by the same program."""

    @pytest.fixture(autouse=True)
    def _here(self, dev: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (pull_request, release, update):
            monkeypatch.setattr(module, "opened", lambda *_: dev.stack)
        for name, value in dev.stack.cloud.environment().items():
            monkeypatch.setenv(name, value)

    def test_a_pull_request_that_changes_nothing_is_told_so_with_the_cost(self) -> None:
        done = RUN.invoke(app, ["pull-request", "report", "dev"])
        assert done.exit_code == 0, done.output
        assert "`dev`: no changes" in done.stdout
        assert "USD a month (+0)" in done.stdout

    def test_drift_is_none_after_an_update(self) -> None:
        done = RUN.invoke(app, ["drift", "dev"])
        assert done.exit_code == 0, done.output

    def test_a_release_is_planned_made_and_planned_back(self, dev: Made, tmp_path: Path) -> None:
        ecr, ssm, file = dev.stack.client("ecr"), dev.stack.client("ssm"), tmp_path / "images.json"
        before = history(ssm, "dev")[0]
        kind = "application/vnd.oci.image.manifest.v1+json"
        config = {"digest": before.images["payment"]}
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
        pushed = ecr.put_image(repositoryName="dev/payment", imageManifest=json.dumps(manifest), imageTag="build-1")
        digest = pushed["image"]["imageId"]["imageDigest"]
        file.write_text(json.dumps({"payment": f"registry.example/dev/payment@{digest}"}))
        said = dev.stack.file.read_text()

        planned = RUN.invoke(app, ["release", "deploy", str(file), "dev"])
        assert planned.exit_code == 0, planned.output
        assert dev.stack.file.read_text() == said
        assert history(ssm, "dev")[0] == before

        made = RUN.invoke(app, ["release", "deploy", str(file), "dev", "--apply"])
        assert made.exit_code == 0, made.output
        assert digest in dev.stack.file.read_text()
        assert history(ssm, "dev")[0].images == {**before.images, "payment": digest}
        [kept] = ecr.describe_images(repositoryName="dev/payment", imageIds=[{"imageDigest": digest}])["imageDetails"]
        assert f"release-{digest[7:19]}" in kept["imageTags"]

        back = RUN.invoke(app, ["release", "rollback", "dev", "--json"])
        assert back.exit_code == 0, back.output
        assert f"release {before.number} of" in back.stderr
        assert json.loads(back.stdout)["update"] >= 1


def test_dev_is_removed_without_a_trace(dev: Made) -> None:
    dev.stack.destroy(quiet)
    assert dev.stack.export().get("resources", []) == []
    assert rehearsal.left_over(dev.stack) == []


def _refused(call: Any, parameters: dict[str, Any]) -> bool:
    """Whether permission is what a call lacks; what is not there is another matter."""
    try:
        return denied(call, **parameters)
    except ClientError:
        return False


def _words(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
