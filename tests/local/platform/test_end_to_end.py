"""The newcomer's path, through the command line alone: up, look around, buy a ticket, up again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from components.cache import Purpose
from components.severity import Severity
from scripts.local.platform import lifecycle
from scripts.local.processes import eventually
from scripts.toolchain import kubernetes, pulumi
from services.notification.workflows import WORKFLOWS
from stacks.processes import PROCESSES
from tests.local.platform.support import PATIENCE, Platform

pytestmark = pytest.mark.timeout(PATIENCE * 2)


def test_every_part_is_listed_with_name_kind_url_and_state(platform: Platform) -> None:
    done = platform.eventctl("local", "status", "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 0, rows
    assert all(set(row) == {"name", "kind", "url", "state"} for row in rows)
    names = {row["name"] for row in rows}
    assert {"postgres", "redis", "rabbitmq", "cloud", "kube-apiserver", "node"} <= names
    assert {"booking-api", "payment-worker", "notification-consumer"} <= names
    states = {row["name"]: row["state"] for row in rows}
    assert {states[name] for name in ("identity", "search", "analytics")} == {"not run here"}
    assert {state for name, state in states.items() if name.startswith(("identity-", "analytics-"))} == {"succeeded"}


def test_a_ticket_is_bought_and_its_code_verifies(platform: Platform) -> None:
    done = platform.eventctl("demo", "--json")
    assert done.returncode == 0, done.stderr
    bought = json.loads(done.stdout)
    assert bought["order"]["status"] == "completed"
    assert [step["step"] for step in bought["saga"]["steps"] if step["outcome"] == "succeeded"] == [
        "AuthorisePayment",
        "ConfirmSeats",
        "CapturePayment",
        "IssueTickets",
        "SendNotification",
    ]
    assert bought["ticket"]["code"]
    assert [sent["workflow"] for sent in bought["notifications"]] == ["order-completed"]
    url = next(row["url"] for row in _status(platform) if row["name"] == "booking-api")
    load_pem_public_key(httpx.get(f"{url}/tickets/public-key").content)


def test_novu_knows_every_workflow_of_the_release_before_anybody_is_told_anything(platform: Platform) -> None:
    asked = httpx.get(f"{platform.record.urls['novu']}/v2/workflows", headers={"Authorization": "ApiKey of-a-test"})
    assert {each["workflowId"] for each in asked.json()["data"]["workflows"]} == set(WORKFLOWS)


def test_a_declined_card_ends_in_a_cancelled_order_without_a_ticket(platform: Platform) -> None:
    bought = json.loads(platform.eventctl("demo", "--json", "--payment-method", "pm_card_visa_chargeDeclined").stdout)
    assert bought["order"]["status"] == "cancelled"
    assert bought["ticket"] is None
    assert bought["saga"]["steps"][0]["error"] == "Payment.Declined"


def test_the_screen_of_the_person_on_call_is_all_good(platform: Platform) -> None:
    def screen() -> Any:
        return json.loads(platform.eventctl("status", "--local", "--json").stdout)

    assert eventually(lambda: screen()["state"] == "good", timeout=90, every=2), screen()
    seen = {light["part"]: light["detail"] for light in screen()["lights"]}
    assert set(seen) == {
        *("alarms", "alerts", "workloads", "sagas", "dead letters"),
        *("counted", "canaries", "databases", "secrets", "certificates"),
    }


def test_prometheus_asks_every_process_of_the_services(platform: Platform) -> None:
    found = httpx.get(f"{platform.record.urls['prometheus']}/api/v1/targets").json()["data"]["activeTargets"]
    assert {target["health"] for target in found} == {"up"}
    processes = {
        (target["labels"]["app_kubernetes_io_name"], target["labels"]["app_kubernetes_io_component"])
        for target in found
    }
    assert processes == {(service, entry.name) for service, entries in PROCESSES.items() for entry in entries}


def test_alertmanager_tells_whom_the_stack_says(platform: Platform) -> None:
    asked = httpx.get(f"{platform.record.urls['alertmanager']}/api/v2/status").json()["config"]["original"]
    topics = {topic["TopicArn"] for topic in platform.aws("sns").list_topics()["Topics"]}
    told = set(re.findall(r"topic_arn: (\S+)", asked))
    assert len(told) == len(Severity)
    assert told <= topics
    known = httpx.get(f"{platform.record.urls['prometheus']}/api/v1/alertmanagers").json()["data"]
    assert [each["url"] for each in known["activeAlertmanagers"]] == [
        f"{platform.record.urls['alertmanager']}/api/v2/alerts"
    ]


def test_the_login_of_each_cache_opens_it(platform: Platform) -> None:
    """Sales go on without a cache, so nobody else would say."""
    for purpose in Purpose:
        assert platform.cache(platform.secret(f"local/{purpose.name.lower()}-credentials")).ping()


def test_a_fault_rings_its_alarm_and_the_runbook_mends_it(platform: Platform) -> None:
    done = platform.eventctl("gameday", "run", "connections-exhausted", "--json")
    assert done.returncode == 0, done.stderr
    [result] = json.loads(done.stdout)
    assert result["runbook"] == "database_connections_exhausted"
    assert result["actions"] >= 100


def test_a_runbook_has_more_pods_run_for_a_sale_and_fewer_after_it(platform: Platform) -> None:
    def runbook(*arguments: str) -> Any:
        done = platform.eventctl("runbook", "run", "on_sale_scale_out", "--local", "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    for options in (["--least", "booking-worker=2"], ["--back"]):
        plan = runbook(*options)
        [done] = runbook(*options, "--apply", "--ticket", "OPS-1", "--confirm", plan["id"])["actions"]
        assert done["outcome"] == "done"
    assert done["after"]["least"] == 1


def test_the_engines_state_and_aws_agree_on_what_exists(platform: Platform) -> None:
    engine = pulumi.find()
    assert engine is not None
    resources = lifecycle.open_stack(platform.layout, engine).export()["resources"]

    def recorded(kind: str) -> set[str]:
        return {item["id"] for item in resources if item["type"] == kind}

    queues = platform.aws("sqs").list_queues()["QueueUrls"]
    assert set(queues) == recorded("aws:sqs/queue:Queue")
    databases = platform.aws("rds").describe_db_instances()["DBInstances"]
    assert {item["DbiResourceId"] for item in databases} | {
        item["DBInstanceIdentifier"] for item in databases
    } >= recorded("aws:rds/instance:Instance")
    assert len(databases) == 5
    machines = platform.aws("stepfunctions").list_state_machines()["stateMachines"]
    assert {item["stateMachineArn"] for item in machines} == recorded("aws:sfn/stateMachine:StateMachine")
    clusters = platform.aws("eks").list_clusters()["clusters"]
    assert set(clusters) == recorded("aws:eks/cluster:Cluster")


def test_the_registry_answers_for_the_images_that_run(platform: Platform) -> None:
    (found,) = platform.aws("ecr").describe_images(repositoryName="local/booking")["imageDetails"]
    shown = _kubectl(platform, "get", "deployment", "booking-api", "-o", "jsonpath={..image}")
    assert shown.endswith(f"@{found['imageDigest']}")


def test_kubectl_works_with_the_kubeconfig_that_the_stack_exports(platform: Platform, tmp_path: Path) -> None:
    engine = pulumi.find()
    assert engine is not None
    exported = lifecycle.open_stack(platform.layout, engine).outputs()["kubeconfig"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(exported if isinstance(exported, str) else json.dumps(exported))
    assert "booking-api" in _kubectl(platform, "get", "deployments", "-o", "name", kubeconfig=str(kubeconfig))


def test_logs_are_shown_by_the_name_in_the_table(platform: Platform) -> None:
    assert platform.eventctl("local", "logs", "postgres", "--lines", "3").stdout
    assert platform.eventctl("local", "logs", "booking-api", "--lines", "3").stdout
    refused = platform.eventctl("local", "logs", "bookings")
    assert refused.returncode == 2
    assert "no part is called 'bookings'; parts are" in refused.stderr


@pytest.mark.parametrize("secret", ["booking-database", "broker-booking"])
def test_a_rotated_secret_reaches_the_pods_and_nobody_is_turned_away(platform: Platform, secret: str) -> None:
    pods = _kubectl(platform, "get", "pods", "-o", "name", "-l", "app.kubernetes.io/component=api")
    before = next(pod for pod in pods.splitlines() if "booking" in pod)
    done = platform.eventctl("local", "rotate", secret)
    assert done.returncode == 0, done.stderr
    _kubectl(platform, "wait", "--for=delete", before, "--timeout=150s")
    for process in ("api", "worker", "relay"):
        _kubectl(platform, "rollout", "status", f"deployment/booking-{process}", "--timeout=120s")
    bought = platform.eventctl("demo", "--json")
    assert bought.returncode == 0, bought.stderr
    assert json.loads(bought.stdout)["order"]["status"] == "completed"


def test_a_secret_that_does_not_rotate_here_is_refused(platform: Platform) -> None:
    refused = platform.eventctl("local", "rotate", "payment-stripe")
    assert refused.returncode == 1
    assert "local/payment-stripe cannot be rotated here: its function is none" in refused.stderr


def test_up_again_changes_nothing(platform: Platform) -> None:
    before = {name: part.pid for name, part in platform.layout.running().items()}
    done = platform.eventctl("local", "up")
    assert done.returncode == 0, done.stderr
    summary = next(line for line in done.stderr.splitlines() if "stack" in line and "same" in line)
    assert summary.split("stack ")[1].endswith(" same")
    assert "," not in summary.split("stack ")[1]
    assert {name: part.pid for name, part in platform.layout.running().items()} == before


def test_two_commands_do_not_change_one_platform_at_the_same_time(platform: Platform) -> None:
    with platform.layout.locked():
        done = platform.eventctl("local", "up")
    assert done.returncode == 1
    assert "another eventctl is changing the platform" in done.stderr


def test_a_violating_pack_stops_up_before_anything_changes(platform: Platform, tmp_path: Path) -> None:
    pack = tmp_path / "strict"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text(
        f"runtime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
    )
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def check(args, report):\n"
        "    if args.resource_type == 'aws:sqs/queue:Queue':\n"
        "        report('fifoQueue is absent, it must be true. Set fifoQueue')\n"
        "PolicyPack(name='strict', enforcement_level=EnforcementLevel.MANDATORY, policies=["
        "ResourceValidationPolicy(name='fifo-only', description='Queues keep their order', validate=check)])\n"
    )
    done = platform.eventctl("local", "up", "--policy-pack", str(pack))
    assert done.returncode == 1
    assert "policy fifo-only" in done.stderr
    assert "saga-booking" in done.stderr
    assert "fifoQueue is absent, it must be true. Set fifoQueue" in done.stderr


def _status(platform: Platform) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(platform.eventctl("local", "status", "--json").stdout)
    return rows


def _kubectl(platform: Platform, *arguments: str, kubeconfig: str | None = None) -> str:
    programs = kubernetes.find()
    assert programs is not None
    command = [str(programs / "kubectl"), "--kubeconfig", kubeconfig or platform.record.kubeconfig, "-n", "platform"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
