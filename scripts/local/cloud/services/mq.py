"""Amazon MQ."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.backend import Refused
from scripts.local.cloud.real import rabbitmq
from scripts.local.cloud.table import Call, Row, Scope, by


def _one_user(scope: Scope) -> None:
    """A RabbitMQ broker is created with exactly one user; audit logs are not for RabbitMQ (CreateBroker)."""
    if str(scope["engineType"]).lower() != "rabbitmq":
        return
    users, logs = scope.inputs.get("users"), scope.inputs.get("logs")
    if isinstance(users, list) and len(users) != 1:
        raise Refused("users", f"has {len(users)} users, but a RabbitMQ broker is created with exactly one")
    if isinstance(logs, dict) and logs.get("audit"):
        raise Refused("logs.audit", "is not available for RabbitMQ; remove it")


def _long_password(scope: Scope) -> None:
    for i, user in enumerate(scope.inputs.get("users") or []):
        password = user.get("password") if isinstance(user, dict) else None
        if isinstance(password, str) and not 12 <= len(password) <= 250:
            raise Refused(f"users[{i}].password", f"has {len(password)} characters, but must have 12 to 250")


def _users(scope: Scope) -> list[dict[str, Any]]:
    names = {"username": "Username", "password": "Password", "consoleAccess": "ConsoleAccess", "groups": "Groups"}
    return [
        {names[key]: value for key, value in user.items() if key in names} if isinstance(user, dict) else user
        for user in scope.inputs.get("users") or []
    ]


ROWS = (
    Row(
        token="aws:mq/broker:Broker",
        service="mq",
        create=Call(
            "create_broker",
            {
                "Users": _users,
                "PubliclyAccessible": lambda s: s.get("publiclyAccessible", False),
                "AutoMinorVersionUpgrade": lambda s: s.get("autoMinorVersionUpgrade", False),
                "DeploymentMode": lambda s: s.get("deploymentMode", "SINGLE_INSTANCE"),
            },
            uses=("users", "publiclyAccessible", "autoMinorVersionUpgrade", "deploymentMode"),
        ),
        id="BrokerId",
        read=by("describe_broker", {"BrokerId": "id"}),
        update=(Call("update_broker", {"BrokerId": "id"}),),
        delete=by("delete_broker", {"BrokerId": "id"}),
        names={"arn": "BrokerArn"},
        outputs={
            "instances": lambda _, a: [
                {
                    "consoleUrl": each.get("ConsoleURL"),
                    "endpoints": each.get("Endpoints"),
                    "ipAddress": each.get("IpAddress"),
                }
                for each in a.get("BrokerInstances") or []
            ],
            "users": lambda s, _: None,
        },
        # RabbitMQ brokers refuse a change of security groups; users are managed inside RabbitMQ.
        replaces=("securityGroups", "users", "deploymentMode", "encryptionOptions", "publiclyAccessible", "subnetIds"),
        mutable=("autoMinorVersionUpgrade", "applyImmediately"),
        defaults={"deploymentMode": "SINGLE_INSTANCE", "publiclyAccessible": False},
        name="brokerName",
        longest=50,
        checks=(_one_user, _long_password),
        made=rabbitmq.made,
        gone=rabbitmq.gone,
    ),
    Row(
        token="aws:mq/configuration:Configuration",
        service="mq",
        create=Call("create_configuration"),
        id="Id",
        read=by("describe_configuration", {"ConfigurationId": "id"}),
        after=(
            Call(
                "update_configuration",
                {"ConfigurationId": "id", "Data": lambda s: _encoded(s["data"])},
                when=("data",),
                auto=True,
            ),
        ),
        delete=by("delete_configuration", {"ConfigurationId": "id"}),
        outputs={"latestRevision": "LatestRevision.Revision", "data": lambda s, _: None},
    ),
)


def _encoded(value: Any) -> Any:
    import base64

    return base64.b64encode(value.encode()).decode() if isinstance(value, str) else value
