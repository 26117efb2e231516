"""What a stack tells services, scripts and runbooks: the contract of an environment, each output typed and explained.

Names are exported in camelCase, as Pulumi's own are. docs/outputs.md is made of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pulumi

# Names and addresses, never a secret: a parameter holds 8 KB at most.
OPERATIONS = frozenset(
    {
        *("account", "environment", "region", "alarmTopicArns", "clusterName", "namespace"),
        *("stateMachineArn", "queueUrls", "deadLetterUrls"),
        *("databaseIds", "databaseSecretArns", "authoritiesSecretArn", "brokerSecretArns", "cacheSecretArns"),
        *("canaries", "firewallArn", "rotationFunctions", "tenantsFunction"),
    }
)
Text = pulumi.Input[str]
ByName = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Every output of an environment."""

    environment: str
    """The environment's name; it starts the names that people and tools look up."""
    account: Text
    """The id of the account."""
    region: str
    """The home Region."""
    vpc_id: Text
    """The network."""
    cluster_name: Text
    """The EKS cluster: for `aws eks update-kubeconfig --name`."""
    kubeconfig: Text
    """Credentials of the cluster; a secret."""
    namespace: Text
    """Where the services run."""
    state_machine_arn: Text
    """The order saga: where executions are looked for."""
    state_machine_alias_arn: Text
    """The order saga's live version: what starts executions."""
    queue_urls: ByName
    """Queues of saga commands by service, and `operator` for parked orders."""
    dead_letter_urls: ByName
    """Queues of what could not be worked on, by the same names."""
    database_ids: ByName
    """RDS instance identifiers by database."""
    database_secret_arns: ByName
    """Logins of the services' roles by database."""
    reader_secret_arns: ByName
    """Logins of the reading roles by database, where there is one."""
    authorities_secret_arn: Text
    """Certificates of the authorities of the databases; no secret."""
    broker_secret_arns: ByName
    """Logins on the broker by service, and `administrator`."""
    cache_secret_arns: ByName
    """Logins on the caches by purpose."""
    rotation_functions: ByName
    """The Lambda functions that rotate secrets, by what they rotate."""
    repository_urls: ByName
    """ECR repositories by image: where pipelines push."""
    issuer: Text
    """What tokens name as their issuer."""
    services_client_secret_arn: Text
    """With it a service gets a token of its own."""
    search_url: Text
    """Typesense, inside the cluster."""
    search_secret_arns: ByName
    """Typesense's keys by use: reading, writing."""
    embedding_secret_arn: Text
    """Whoever shows a dashboard of Metabase signs with this secret's key."""
    plan_role_arn: Text
    """The role that pipelines take to plan."""
    apply_role_arn: Text
    """The role that pipelines take to deploy."""
    incident_role_arn: Text
    """The role that the person on call takes."""
    alarm_topic_arns: ByName
    """Where alarms go, by severity: a pager subscribes to `page`, a list of tickets to `ticket`."""
    global_alarm_topic_arns: ByName
    """The same for alarms of CloudFront, its firewall and its certificate, in us-east-1."""
    domain: str
    """The name under which visitors come."""
    name_servers: pulumi.Input[Any]
    """To be delegated to by the parent's zone."""
    distribution_id: Text
    """The CloudFront distribution."""
    distribution_domain: Text
    """CloudFront's own name for it."""
    firewall_arn: Text
    """The web ACL, in us-east-1."""
    site_bucket: Text
    """Where releases of the static site are put."""
    site_pointer_arn: Text
    """The key-value store whose key `current` names the release that visitors get."""
    edge_log_groups: ByName
    """Log groups in us-east-1: access, firewall."""
    load_balancer_arn: Text
    """The internal balancer behind CloudFront."""
    canaries: Mapping[str, Any]
    """By service: the listener rule, the lease's parameter, and the stable and canary target groups."""
    canary_rollback_function: Text
    """The function that takes canaries back."""
    tenants_function: Text
    """The function that gives previews their part of the stores, and takes it back; empty in production."""
    tenancy: Mapping[str, Any] | None
    """What previews need to know to be guests here (stacks/tenancy.py); production has none."""

    def operations(self) -> dict[str, Any]:
        """What runbooks need, by the same names: components/operations_record.py keeps it where they find it."""
        return {name: value for name, value in self.exported().items() if name in OPERATIONS}

    def exported(self) -> dict[str, Any]:
        """The outputs by the names under which Pulumi exports them."""
        return {camel(each.name): getattr(self, each.name) for each in fields(self)}


def camel(name: str) -> str:
    """``name`` as Pulumi writes it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
