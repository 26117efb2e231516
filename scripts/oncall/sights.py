"""Where each light of the screen comes from: AWS, the cluster, Prometheus. Each looks at one thing, and only looks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes import client

from runbooks._kit import kubernetes, lock
from runbooks._kit.rabbitmq import Broker
from runbooks._kit.silence import LEADS
from runbooks._kit.sqs import SqsQueue
from runbooks._kit.target import Target
from scripts.oncall.lights import Light, State
from scripts.oncall.prometheus import Prometheus

GOOD, WARN, BAD = State.GOOD, State.WARN, State.BAD
# A saga takes seconds; one that waits for a buyer's bank has 15 minutes (docs/saga.md).
_SLOW = timedelta(minutes=20)
# Days; ACM renews 60 days before, the alarm rings at fewer than 30.
_CERTIFICATE_WARNS, _CERTIFICATE_BAD = 45, 14
# A rotation that is so late was tried and failed.
_ROTATION_LATE = timedelta(days=3)
# What the local platform says of an image that is not ours: that its pod is not there is known, and is no fault.
_NOT_RUN_HERE = "NotRunLocally"


class Screen:
    """Everything that is looked at, of one environment."""

    def __init__(self, target: Target, prometheus: Prometheus) -> None:
        self._target, self._prometheus = target, prometheus

    def look(self) -> list[Light]:
        """All lights; what cannot be seen is said so, and keeps nothing else from being seen."""
        sights: Mapping[str, Callable[[], Iterator[Light]]] = {
            "alarms": self.alarms,
            "alerts": self.alerts,
            "workloads": self.workloads,
            "sagas": self.sagas,
            "dead letters": self.dead_letters,
            "counted": self.counted,
            "canaries": self.canaries,
            "databases": self.databases,
            "secrets": self.secrets,
            "certificates": self.certificates,
        }
        with ThreadPoolExecutor(max_workers=len(sights)) as pool:
            return [light for found in pool.map(lambda item: _seen(*item), sights.items()) for light in found]

    def alarms(self) -> Iterator[Light]:
        """Alarms of CloudWatch that ring, with whoever is at work on them."""
        pages = self._target.client("cloudwatch").get_paginator("describe_alarms")
        rings = 0
        for page in pages.paginate(StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]):
            for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"]):
                rings += 1
                named = LEADS.search(alarm.get("AlarmDescription", ""))
                since = alarm["StateUpdatedTimestamp"]
                yield self._ringing(
                    "alarms", alarm["AlarmName"], alarm.get("AlarmDescription", ""), since, named[1] if named else ""
                )
        if not rings:
            yield Light(part="alarms", name="CloudWatch", state=GOOD, detail="none rings")

    def alerts(self) -> Iterator[Light]:
        """Alerts of Prometheus that fire."""
        firing = self._prometheus.alerts()
        for alert in firing:
            runbook = alert["annotations"]["runbook_url"].rsplit("/", 1)[-1].removesuffix(".md")
            name = " ".join(filter(None, (alert["labels"]["alertname"], alert["labels"].get("slo"))))
            since = datetime.fromisoformat(alert["activeAt"][:19]).replace(tzinfo=UTC)
            yield self._ringing("alerts", name, alert["annotations"]["summary"], since, runbook)
        if not firing:
            yield Light(part="alerts", name="Prometheus", state=GOOD, detail="none fires")

    def _ringing(self, part: str, name: str, says: str, since: datetime, runbook: str) -> Light:
        says = LEADS.sub("", says).strip()
        holder = (
            lock.holder(self._target.client("ssm"), self._target.identity.environment, runbook) if runbook else None
        )
        work = f"; {holder.who} is at work ({holder.ticket})" if holder else ""
        detail = f"{says} For {_age(since)}{work}"
        return Light(part=part, name=name, state=WARN if holder else BAD, detail=detail, runbook=runbook)

    def workloads(self) -> Iterator[Light]:
        """Deployments of the services, by pods that are ready, and what the others wait for."""
        api, namespace = kubernetes.connected(self._target), self._target.operations.namespace
        ours = {"namespace": namespace, "label_selector": "app.kubernetes.io/part-of=event-platform"}
        pods = client.CoreV1Api(api).list_namespaced_pod(**ours).items
        for found in client.AppsV1Api(api).list_namespaced_deployment(**ours).items:
            wanted, ready = found.spec.replicas or 0, found.status.ready_replicas or 0
            reasons = {reason for pod in pods if _belongs(pod, found) for reason in _waits_for(pod)}
            missing = ready < wanted and _NOT_RUN_HERE not in reasons
            yield Light(
                part="workloads",
                name=found.metadata.name,
                state=GOOD if not missing else WARN if ready else BAD,
                detail=": ".join(filter(None, (f"{ready} of {wanted} ready", ", ".join(sorted(reasons))))),
            )

    def sagas(self) -> Iterator[Light]:
        """Orders that wait for a person, and executions that take too long."""
        operations = self._target.operations
        parked = SqsQueue(self._target.client("sqs"), operations.queue_urls["operator"]).depth()
        yield Light(
            part="sagas",
            name="waiting for a decision",
            state=BAD if parked else GOOD,
            detail=str(parked),
            runbook="stuck_saga" if parked else "",
        )
        pages = self._target.client("stepfunctions").get_paginator("list_executions")
        running = [
            execution["startDate"]
            for page in pages.paginate(stateMachineArn=operations.state_machine_arn, statusFilter="RUNNING")
            for execution in page["executions"]
        ]
        slow = sum(datetime.now(UTC) - started > _SLOW for started in running)
        yield Light(
            part="sagas",
            name="under way",
            state=WARN if slow > parked else GOOD,
            detail=f"{len(running)}, of them {slow} for more than {_SLOW.seconds // 60} minutes",
            runbook="stuck_saga" if slow > parked else "",
        )

    def dead_letters(self) -> Iterator[Light]:
        """What could not be worked on, by queue."""
        depths = {
            name: SqsQueue(self._target.client("sqs"), url).depth()
            for name, url in self._target.operations.dead_letter_urls.items()
        }
        with Broker.connected(self._target) as broker:
            depths |= {name: broker.queue(name).depth() for name in broker.queues() if name.endswith(".dead")}
        for name, depth in depths.items():
            yield Light(
                part="dead letters",
                name=name,
                state=BAD if depth else GOOD,
                detail=str(depth),
                runbook="dead_letter_redrive" if depth else "",
            )

    def counted(self) -> Iterator[Light]:
        """What our own processes count that has no place elsewhere on the screen."""
        for name, query, unit, warns, bad, runbook in (
            ("oldest event not published", "max(outbox_oldest_seconds)", "s", 15, 60, "broker_partition"),
            ("oldest message due", "max(notification_oldest_due_seconds)", "s", 30, 120, "notification_backlog"),
            ("pools that do not add up", "max(booking_pools_inconsistent)", "", 0, 0, "oversell_audit"),
            ("differences in the books", "max(payment_discrepancies_open)", "", 0, 0, "payment_reconciliation"),
            ("webhooks not delivered", "max(payment_webhooks_undelivered)", "", 0, 20, "stripe_webhook_replay"),
        ):
            value = self._prometheus.value(query)
            if value is None:
                yield Light(part="counted", name=name, state=State.UNKNOWN, detail="nobody says")
                continue
            state = BAD if value > bad else WARN if value > warns else GOOD
            yield Light(
                part="counted",
                name=name,
                state=state,
                detail=f"{value:.0f} {unit}".rstrip(),
                runbook="" if state is GOOD else runbook,
            )

    def canaries(self) -> Iterator[Light]:
        """Canaries under way, by service: the lease says until when somebody answers for it."""
        ssm = self._target.client("ssm")
        for service, known in self._target.operations.canaries.items():
            value = ssm.get_parameter(Name=known["lease"])["Parameter"]["Value"]
            lease = json.loads(value) if value.startswith("{") else {}
            detail = "none under way"
            if "expires" in lease:
                detail = f"under way, held until {lease['expires']}"
            # One that was never under way has ended, too, for no reason.
            elif "why" in lease:
                detail = f"the last one was taken back at {lease['ended']} because of the {lease['why']}"
            under_way = "expires" in lease
            yield Light(
                part="canaries",
                name=service,
                state=WARN if under_way else GOOD,
                detail=detail,
                runbook="canary_abort" if under_way else "",
            )

    def databases(self) -> Iterator[Light]:
        """Instances and what RDS says of them."""
        for page in self._target.client("rds").get_paginator("describe_db_instances").paginate():
            for found in page["DBInstances"]:
                if found["DBInstanceIdentifier"] in self._target.operations.database_ids.values():
                    status = found["DBInstanceStatus"]
                    state = GOOD if status == "available" else WARN
                    yield Light(part="databases", name=found["DBInstanceIdentifier"], state=state, detail=status)

    def secrets(self) -> Iterator[Light]:
        """Secrets that should have rotated and have not; else how many there are."""
        now, prefix = datetime.now(UTC), f"{self._target.identity.environment}/"
        pages = self._target.client("secretsmanager").get_paginator("list_secrets")
        found = [
            secret
            for page in pages.paginate(Filters=[{"Key": "name", "Values": [prefix]}])
            for secret in page["SecretList"]
            if secret.get("RotationEnabled")
        ]
        late = sorted(secret["Name"] for secret in found if rotation_is_late(secret, now))
        oldest = max((now - _rotated(secret) for secret in found), default=timedelta())
        yield Light(
            part="secrets",
            name="rotation",
            state=WARN if late else GOOD,
            detail=f"late: {', '.join(late)}" if late else f"{len(found)} rotate, the oldest is {oldest.days} d old",
            runbook="secret_rotation" if late else "",
        )

    def certificates(self) -> Iterator[Light]:
        """Certificates of the home Region, by the days that are left."""
        acm = self._target.client("acm")
        for page in acm.get_paginator("list_certificates").paginate():
            for each in page["CertificateSummaryList"]:
                found = acm.describe_certificate(CertificateArn=each["CertificateArn"])["Certificate"]
                if "NotAfter" not in found:
                    yield Light(part="certificates", name=each["DomainName"], state=WARN, detail="is not issued yet")
                    continue
                days = (found["NotAfter"] - datetime.now(UTC)).days
                state = BAD if days < _CERTIFICATE_BAD else WARN if days < _CERTIFICATE_WARNS else GOOD
                yield Light(
                    part="certificates",
                    name=each["DomainName"],
                    state=state,
                    detail=f"{days} days left",
                    runbook="" if state is GOOD else "certificate_expiry",
                )


def rotation_is_late(secret: Mapping[str, Any], now: datetime) -> bool:
    """Whether a secret, as Secrets Manager lists it, should have got its next value some days ago."""
    days = secret.get("RotationRules", {}).get("AutomaticallyAfterDays")
    return bool(days) and now - _rotated(secret) > timedelta(days=days) + _ROTATION_LATE


def _rotated(secret: Mapping[str, Any]) -> datetime:
    found: datetime = secret.get("LastRotatedDate") or secret["CreatedDate"]
    return found


def _belongs(pod: Any, deployment: Any) -> bool:
    wanted = deployment.spec.selector.match_labels or {}
    return all((pod.metadata.labels or {}).get(name) == value for name, value in wanted.items())


def _waits_for(pod: Any) -> Iterator[str]:
    for container in pod.status.container_statuses or ():
        if container.state.waiting and container.state.waiting.reason:
            yield container.state.waiting.reason


def _seen(part: str, sight: Callable[[], Iterator[Light]]) -> list[Light]:
    try:
        return list(sight())
    except Exception as error:  # whatever is broken: the rest of the screen is needed all the more
        detail = f"cannot be seen: {type(error).__name__}: {error}".splitlines()[0]
        return [Light(part=part, name=part, state=State.UNKNOWN, detail=detail[:200])]


def _age(since: datetime) -> str:
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{max(0, seconds)} s"
