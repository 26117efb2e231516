"""What CloudWatch would count of the local platform, read from the real servers and from the simulated AWS.

A metric that nothing here can tell is not in the table, and its alarms stay without data: nothing is made up.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import redis

from scripts.local.cloud.data_plane import DataPlane
from services.common import database

Dimensions = Mapping[str, str]
Client = Callable[[str], Any]
_GIB = 1024**3
# What is in CloudWatch already, told by whoever counts it, a round old at most: of the load balancer everything
# (scripts/local/balancer/counts.py), of functions each call (scripts/local/cloud/functions.py).
_FRESH = timedelta(seconds=8)
_BALANCER = (
    *("RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "TargetResponseTime"),
    *("HealthyHostCount", "UnHealthyHostCount"),
)
_COUNTED = frozenset(
    {*(("AWS/ApplicationELB", name) for name in _BALANCER), ("AWS/Lambda", "Invocations"), ("AWS/Lambda", "Errors")}
)


class Measures:
    """Reads one value at a time; ``client`` makes clients of AWS, ``since`` is when the last round began.

    Servers are trusted by the authorities in the file ``trusted``, and by SSL_CERT_FILE where a library follows it.
    """

    def __init__(self, client: Client, plane: DataPlane, trusted: Path) -> None:
        self._client, self._plane, self._trusted = client, plane, trusted
        self.next_round(datetime.now(UTC))

    def next_round(self, since: datetime) -> None:
        """What was read once in a round is read again; what ended before ``since`` was counted."""
        self.since, self._instances = since, dict[str, dict[str, Any]]()

    # Each of these reads every authority that the machine trusts: once is enough.
    @cached_property
    def _postgres(self) -> dict[str, Any]:
        assert self._plane.postgres is not None
        return database.arguments(self._plane.postgres.admin_url)

    @cached_property
    def _redis(self) -> Any:
        assert self._plane.redis is not None
        return redis.Redis.from_url(self._plane.redis.admin_url, ssl_ca_certs=str(self._trusted))

    @cached_property
    def _management(self) -> httpx.Client:
        broker = self._plane.rabbitmq
        assert broker is not None
        return httpx.Client(
            base_url=f"{broker.management_url}/api/",
            auth=(broker.user, broker.password),
            verify=ssl.create_default_context(cafile=str(self._trusted)),
            timeout=5,
        )

    def read(self, namespace: str, metric: str, dimensions: Dimensions, statistic: str) -> float | None:
        """The value now; None when the thing does not say. Raises KeyError for what is not measured here."""
        if (namespace, metric) in _COUNTED:
            return self._counted(namespace, metric, dimensions, statistic)
        return SOURCES[namespace, metric](self, dimensions)

    def _counted(self, namespace: str, metric: str, of: Dimensions, statistic: str) -> float | None:
        """What was told last, unless that was rounds ago: then there was nothing since."""
        now = datetime.now(UTC)
        query = {
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in of.items()],
        }
        [found] = self._client("cloudwatch").get_metric_data(
            MetricDataQueries=[{"Id": "m", "MetricStat": {"Metric": query, "Period": 1, "Stat": statistic}}],
            StartTime=now - _FRESH,
            EndTime=now + _FRESH,
        )["MetricDataResults"]
        return float(found["Values"][0]) if found["Values"] else None

    def messages_visible(self, of: Dimensions) -> float:
        sqs = self._client("sqs")
        url = sqs.get_queue_url(QueueName=of["QueueName"])["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return float(found["Attributes"]["ApproximateNumberOfMessages"])

    def executions_failed(self, of: Dimensions) -> float:
        return self._ended(of, "FAILED")

    def executions_timed_out(self, of: Dimensions) -> float:
        return self._ended(of, "TIMED_OUT")

    def _ended(self, of: Dimensions, status: str) -> float:
        pages = self._client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=of["StateMachineArn"], statusFilter=status)
        return float(sum(each["stopDate"] >= self.since for page in found for each in page["executions"]))

    def days_to_expiry(self, of: Dimensions) -> float | None:
        found = self._client("acm").describe_certificate(CertificateArn=of["CertificateArn"])["Certificate"]
        ends = found.get("NotAfter")
        return (ends - datetime.now(UTC)).total_seconds() / 86_400 if ends else None

    def connections(self, of: Dimensions) -> float | None:
        return self._query("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", self._instance(of)["DBName"])

    def free_storage(self, of: Dimensions) -> float | None:
        instance = self._instance(of)
        used = self._query("SELECT pg_database_size($1::name)", instance["DBName"])
        return float(instance["AllocatedStorage"] * _GIB - used)

    def _instance(self, of: Dimensions) -> dict[str, Any]:
        name = of["DBInstanceIdentifier"]
        if name not in self._instances:
            [self._instances[name]] = self._client("rds").describe_db_instances(DBInstanceIdentifier=name)[
                "DBInstances"
            ]
        return self._instances[name]

    def _query(self, statement: str, value: str) -> float:
        async def ask() -> float:
            connection = await asyncpg.connect(**self._postgres, timeout=3)
            try:
                return float(await connection.fetchval(statement, value))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def cache_memory(self, _: Dimensions) -> float | None:
        info = self._redis.info("memory")
        return 100.0 * info["used_memory"] / info["maxmemory"] if info["maxmemory"] else None

    def ready(self, of: Dimensions) -> float:
        return self._messages(of, "messages_ready")

    def unacknowledged(self, of: Dimensions) -> float:
        return self._messages(of, "messages_unacknowledged")

    def consumers(self, _: Dimensions) -> float:
        return float(self._broker("overview")["object_totals"]["consumers"])

    def broker_memory(self, _: Dimensions) -> float:
        return float(max(node["mem_used"] for node in self._broker("nodes")))

    def broker_disk(self, _: Dimensions) -> float:
        return float(shutil.disk_usage(self._trusted.parent).free)

    def _messages(self, of: Dimensions, what: str) -> float:
        if "Queue" not in of:
            return float(self._broker("overview")["queue_totals"].get(what, 0))
        queue = f"queues/{quote(of['VirtualHost'], safe='')}/{quote(of['Queue'], safe='')}"
        return float(self._broker(queue).get(what, 0))

    def _broker(self, path: str) -> Any:
        return self._management.get(path).raise_for_status().json()


def measured(namespace: str, metric: str) -> bool:
    """Whether anything here can tell."""
    return (namespace, metric) in SOURCES or (namespace, metric) in _COUNTED


SOURCES: Mapping[tuple[str, str], Callable[[Measures, Dimensions], float | None]] = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): Measures.messages_visible,
    ("AWS/States", "ExecutionsFailed"): Measures.executions_failed,
    ("AWS/States", "ExecutionsTimedOut"): Measures.executions_timed_out,
    ("AWS/CertificateManager", "DaysToExpiry"): Measures.days_to_expiry,
    ("AWS/RDS", "DatabaseConnections"): Measures.connections,
    ("AWS/RDS", "FreeStorageSpace"): Measures.free_storage,
    ("AWS/ElastiCache", "DatabaseMemoryUsagePercentage"): Measures.cache_memory,
    ("AWS/AmazonMQ", "MessageReadyCount"): Measures.ready,
    ("AWS/AmazonMQ", "MessageUnacknowledgedCount"): Measures.unacknowledged,
    ("AWS/AmazonMQ", "ConsumerCount"): Measures.consumers,
    ("AWS/AmazonMQ", "RabbitMQMemUsed"): Measures.broker_memory,
    ("AWS/AmazonMQ", "RabbitMQDiskFree"): Measures.broker_disk,
}
