"""What runbooks work on in tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.certificates import Authority
from tests.runbooks.clusters import api_server, workloads
from tests.runbooks.environment import Environment
from tests.runbooks.faults.backup_failed import backup_failed, backups
from tests.runbooks.faults.broker_memory_alarm import broker_memory_alarm, memory
from tests.runbooks.faults.broker_partition import broker_partition, outboxes
from tests.runbooks.faults.cache_eviction import cache_eviction, full
from tests.runbooks.faults.cache_failover import cache_failover, caches
from tests.runbooks.faults.canary_abort import canaries, canary_abort
from tests.runbooks.faults.certificate_expiry import certificate_expiry, certificates
from tests.runbooks.faults.credential_compromise import credential_compromise, leaks
from tests.runbooks.faults.database_connections_exhausted import database_connections_exhausted, sessions
from tests.runbooks.faults.dead_letter_redrive import commands, dead_letter_redrive, events
from tests.runbooks.faults.notification_backlog import deliveries, notification_backlog
from tests.runbooks.faults.on_sale_scale_out import on_sale_scale_out, stage
from tests.runbooks.faults.orphan_previews import guests, orphan_previews
from tests.runbooks.faults.oversell_audit import oversell_audit, pools
from tests.runbooks.faults.payment_reconciliation import books, payment_reconciliation
from tests.runbooks.faults.rds_failover import rds_failover, standbys
from tests.runbooks.faults.rds_point_in_time_restore import rds_point_in_time_restore, restores
from tests.runbooks.faults.rds_storage_full import rds_storage_full, storage
from tests.runbooks.faults.secret_rotation import rotations, secret_rotation
from tests.runbooks.faults.stripe_webhook_replay import stripe_webhook_replay, webhooks
from tests.runbooks.faults.stuck_saga import saga, stuck_saga
from tests.runbooks.faults.waf_block import firewall, waf_block
from tests.runbooks.faults.zone_loss import zone_loss
from tests.runbooks.groups import group
from tests.services.conftest import aws_server, broker, rabbitmq_server, redis_server

__all__ = [
    "api_server",
    "aws_server",
    "backup_failed",
    "backups",
    "books",
    "broker",
    "broker_memory_alarm",
    "broker_partition",
    "cache_eviction",
    "cache_failover",
    "caches",
    "canaries",
    "canary_abort",
    "certificate_expiry",
    "certificates",
    "commands",
    "credential_compromise",
    "database_connections_exhausted",
    "dead_letter_redrive",
    "deliveries",
    "events",
    "firewall",
    "full",
    "group",
    "guests",
    "leaks",
    "memory",
    "notification_backlog",
    "on_sale_scale_out",
    "orphan_previews",
    "outboxes",
    "oversell_audit",
    "payment_reconciliation",
    "pools",
    "rabbitmq_server",
    "rds_failover",
    "rds_point_in_time_restore",
    "rds_storage_full",
    "redis_server",
    "restores",
    "rotations",
    "saga",
    "secret_rotation",
    "sessions",
    "stage",
    "standbys",
    "storage",
    "stripe_webhook_replay",
    "stuck_saga",
    "waf_block",
    "webhooks",
    "workloads",
    "zone_loss",
]


@pytest.fixture
def environment(aws_server: str, folder: Path) -> Iterator[Environment]:
    """A fresh environment on the simulated AWS; nobody answers for Alertmanager there."""
    made = Environment(Authority(folder).ca)
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("ALERTMANAGER_URL", "http://127.0.0.1:1")
        yield made
    made.end()
