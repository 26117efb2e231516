"""The stack's routes in a real Alertmanager: each severity to its topic, a page hides its ticket, and silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from components.operator_values import alerting
from components.severity import Severity
from scripts.local import processes
from scripts.local.cloud import running
from scripts.local.monitoring import alertmanager
from scripts.local.processes import eventually
from tests.components.test_operators import PRODUCTION


@dataclass
class Told:
    """An Alertmanager, and a queue behind each severity's topic."""

    url: str
    sqs: Any
    queues: dict[Severity, str]

    def fires(self, name: str, **labels: str) -> None:
        alert = {
            "labels": {"alertname": name, "owner": "on-call", **labels},
            "annotations": {"summary": f"{name} is so.", "runbook_url": "https://example.com/runbook.md"},
        }
        httpx.post(f"{self.url}/api/v2/alerts", json=[alert]).raise_for_status()

    def heard(self, severity: Severity) -> list[str]:
        """Subjects of what was said to those of that severity, since this was last asked."""
        found = self.sqs.receive_message(QueueUrl=self.queues[severity], MaxNumberOfMessages=10).get("Messages", [])
        for each in found:
            self.sqs.delete_message(QueueUrl=self.queues[severity], ReceiptHandle=each["ReceiptHandle"])
        return sorted(str(json.loads(each["Body"])["Subject"]).strip() for each in found)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder: Path = tmp_path_factory.mktemp("alertmanager")
    with running.running() as cloud:
        sqs, sns = cloud.client("sqs"), cloud.client("sns")
        queues: dict[Severity, str] = {}
        topics: dict[str, str] = {}
        for severity in Severity:
            queues[severity] = sqs.create_queue(QueueName=severity)["QueueUrl"]
            topics[severity] = sns.create_topic(Name=f"on-call-{severity}")["TopicArn"]
            arn = sqs.get_queue_attributes(QueueUrl=queues[severity], AttributeNames=["QueueArn"])["Attributes"]
            sns.subscribe(TopicArn=topics[severity], Protocol="sqs", Endpoint=arn["QueueArn"])
        server, made = alertmanager.create(folder, "127.0.0.1")
        declared = alerting(replace(PRODUCTION, alarm_topics=topics))
        # Half a minute of waiting is no time at all here.
        configured = alertmanager.configuration(declared, cloud.endpoint, speed=100)
        (folder / alertmanager.CONFIGURATION).write_text(yaml.safe_dump(json.loads(json.dumps(configured))))
        with processes.serving(server, made.ready):
            yield Told(made.url, sqs, queues)


def test_each_severity_is_told_at_its_topic_and_what_always_fires_at_none(told: Told) -> None:
    told.fires("Oversold", severity="page")
    told.fires("BooksDiffer", severity="ticket")
    told.fires("Watchdog", severity="none")
    heard: dict[Severity, list[str]] = {severity: [] for severity in Severity}

    def all_heard() -> bool:
        for severity in Severity:
            heard[severity] += told.heard(severity)
        return all(heard.values())

    assert eventually(all_heard, timeout=20, every=0.5)
    assert heard == {Severity.PAGE: ["firing: Oversold"], Severity.TICKET: ["firing: BooksDiffer"]}


def test_a_page_hides_the_ticket_of_its_objective_and_a_runbook_at_work_hides_its_alerts(told: Told) -> None:
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "runbook", "value": "stuck_saga", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=1)).isoformat(),
        "createdBy": "somebody",
        "comment": "at work",
    }
    httpx.post(f"{told.url}/api/v2/silences", json=silence).raise_for_status()
    told.fires("Burns", severity="page", slo="checkout")
    told.fires("Burns", severity="ticket", slo="checkout")
    told.fires("Stuck", severity="page", runbook="stuck_saga")
    told.fires("Last", severity="ticket")
    paged: list[str] = []
    heard: list[str] = []

    def last_heard() -> bool:
        paged.extend(told.heard(Severity.PAGE))
        heard.extend(told.heard(Severity.TICKET))
        return "firing: Last" in heard and "firing: Burns checkout" in paged

    assert eventually(last_heard, timeout=20, every=0.5)
    assert (paged, heard) == (["firing: Burns checkout"], ["firing: Last"])
