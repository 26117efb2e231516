"""A Lambda function whose code is a few files of this repository: for what must happen without a machine of ours.

It owns the function, its role (its own log, its own dead letters and what is asked for, nothing else), its log group
and its queue of events that failed, all under one key. It refuses a function without a limit on how many run at once:
whatever calls it too often must not take the account's concurrency from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, kms, lambda_, sqs
from pulumi_aws import iam as aws_iam

from components import encryption, iam
from components.alarm import alarm
from components.context import Context
from components.function_package import package
from components.severity import Severity

Statements = pulumi.Output[list[dict[str, Any]]]

# AWS Lambda Developer Guide, "Lambda quotas" (read 2025-11): seconds, MiB, and what an account has unless it asks.
_TIMEOUT, _MEMORY, _CONCURRENCY = range(1, 901), range(128, 10_241), range(1, 1_001)
_RUNTIME, _ARCHITECTURE = "python3.13", "arm64"
# An event that nobody worked on for longer is of no use; SQS keeps a message 14 days at most.
_DEAD_LETTER_SECONDS = 14 * 24 * 3600
_EVENT_SECONDS, _RETRIES = 3600, 2
_VISIBLE = "ApproximateNumberOfMessagesVisible"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionArgs:
    """``files`` are where in the package each file or folder goes; ``runbook`` is the stem that its alarms name.

    ``permissions`` are the statements of its role besides those that every function has. A function with
    ``subnet_ids`` runs in the network and reaches AWS through its endpoints.
    """

    about: str
    files: Mapping[str, Path]
    handler: str
    runbook: str
    concurrency: int
    permissions: Sequence[Statements]
    timeout_seconds: int = 30
    memory_mib: int = 256
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    layers: Sequence[pulumi.Input[str]] = ()
    subnet_ids: Sequence[pulumi.Input[str]] = ()
    security_group_ids: Sequence[pulumi.Input[str]] = ()
    severity: Severity = Severity.PAGE

    def __post_init__(self) -> None:
        for path in self.files.values():
            if not path.exists():
                raise ValueError(f"files has {path.name!r}, which does not exist; name a file that is shipped with it")
        module, _, entry = self.handler.rpartition(".")
        if not entry or module.replace(".", "/") + ".py" not in self.files:
            raise ValueError(
                f"handler is {self.handler!r}, but files are {', '.join(sorted(self.files))}; "
                "it is <module>.<function> of one of them"
            )
        for name, value, allowed in (
            ("timeout_seconds", self.timeout_seconds, _TIMEOUT),
            ("memory_mib", self.memory_mib, _MEMORY),
            ("concurrency", self.concurrency, _CONCURRENCY),
        ):
            if value not in allowed:
                raise ValueError(
                    f"{name} is {value}; Lambda allows {allowed.start} to {allowed.stop - 1}: take what one call needs"
                )
        if bool(self.subnet_ids) != bool(self.security_group_ids):
            raise ValueError(
                f"subnet_ids are {len(self.subnet_ids)} and security_group_ids {len(self.security_group_ids)}; "
                "a function in the network needs both, one outside of it neither"
            )


def own_statements(log_group_arn: str, queue_arn: str, key_arn: str, *, in_network: bool) -> list[dict[str, Any]]:
    """What every function may do: write its own log, leave what failed in its own queue, trace."""
    statements = [
        iam.allow(("logs:CreateLogStream", "logs:PutLogEvents"), (f"{log_group_arn}:*",)),
        iam.allow(("sqs:SendMessage",), (queue_arn,)),
        iam.allow(("kms:Decrypt", "kms:GenerateDataKey"), (key_arn,)),
        # X-Ray knows no resources (Service Authorization Reference, "AWS X-Ray").
        iam.allow(("xray:PutTraceSegments", "xray:PutTelemetryRecords"), ("*",)),
    ]
    if in_network:
        interfaces = (
            "CreateNetworkInterface",
            "DescribeNetworkInterfaces",
            "DescribeSubnets",
            "DeleteNetworkInterface",
        )
        # Lambda makes interfaces with the role; none of the calls can be bound to one beforehand (Lambda Developer
        # Guide, "Giving Lambda functions access to resources in an Amazon VPC").
        statements.append(iam.allow(tuple(f"ec2:{action}" for action in interfaces), ("*",)))
    return statements


class Function(pulumi.ComponentResource):
    """A Python function on Lambda with its role, log, dead letters and alarms."""

    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: FunctionArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:function:Function", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(
            name,
            context=context,
            purpose=f"Function: {args.about}",
            services=(f"logs.{context.region}.amazonaws.com",),
            opts=self._child,
        )
        logs = cloudwatch.LogGroup(
            name,
            kms_key_id=key.arn,
            retention_in_days=context.log_retention_days,
            tags=context.tags(name),
            opts=self._child,
        )
        dead = self._dead_letters(key)
        role, granted = self._role(logs, dead, key)
        function = lambda_.Function(
            name,
            description=args.about,
            runtime=_RUNTIME,
            architectures=[_ARCHITECTURE],
            handler=args.handler,
            code=package(args.files),
            layers=list(args.layers),
            role=role.arn,
            timeout=args.timeout_seconds,
            memory_size=args.memory_mib,
            reserved_concurrent_executions=args.concurrency,
            kms_key_arn=key.arn,
            environment=lambda_.FunctionEnvironmentArgs(variables=dict(args.environment)) if args.environment else None,
            dead_letter_config=lambda_.FunctionDeadLetterConfigArgs(target_arn=dead.arn),
            logging_config=lambda_.FunctionLoggingConfigArgs(log_format="JSON", log_group=logs.name),
            tracing_config=lambda_.FunctionTracingConfigArgs(mode="Active"),
            vpc_config=lambda_.FunctionVpcConfigArgs(
                subnet_ids=list(args.subnet_ids), security_group_ids=list(args.security_group_ids)
            )
            if args.subnet_ids
            else None,
            tags=context.tags(name),
            # Lambda tries the role at once: without its permissions the function is refused.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )
        lambda_.FunctionEventInvokeConfig(
            name,
            function_name=function.name,
            maximum_event_age_in_seconds=_EVENT_SECONDS,
            maximum_retry_attempts=_RETRIES,
            opts=self._child,
        )
        self.arn, self.name, self.role_arn = function.arn, function.name, role.arn
        self._alarms(dead)
        self.register_outputs({"arn": self.arn, "name": self.name, "role_arn": self.role_arn})

    def callable_by(self, role: str, service: str, *, source_arn: pulumi.Input[str] | None = None) -> None:
        """Let an AWS service call it, for ``source_arn`` alone or, without one, for this account's resources."""
        lambda_.Permission(
            f"{self._name}-{role}",
            action="lambda:InvokeFunction",
            function=self.name,
            principal=service,
            source_arn=source_arn,
            source_account=self._context.account_id,
            opts=self._child,
        )

    def _dead_letters(self, key: kms.Key) -> sqs.Queue:
        name = f"{self._name}-dead-letters"
        queue = sqs.Queue(
            name,
            kms_master_key_id=key.arn,
            message_retention_seconds=_DEAD_LETTER_SECONDS,
            tags=self._context.tags(self._name),
            opts=self._child,
        )
        sqs.QueuePolicy(
            name,
            queue_url=queue.url,
            policy=queue.arn.apply(lambda arn: iam.document(iam.deny_plain_http(arn, "sqs"))),
            opts=self._child,
        )
        return queue

    def _role(
        self, logs: cloudwatch.LogGroup, dead: sqs.Queue, key: kms.Key
    ) -> tuple[aws_iam.Role, aws_iam.RolePolicy]:
        name, args = self._name, self._args
        role = aws_iam.Role(
            name,
            description=args.about,
            assume_role_policy=iam.trust("lambda.amazonaws.com"),
            tags=self._context.tags(name),
            opts=self._child,
        )
        own = pulumi.Output.all(logs.arn, dead.arn, key.arn).apply(
            lambda arns: own_statements(*arns, in_network=bool(args.subnet_ids))
        )
        policy = aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(own, *args.permissions).apply(
                lambda granted: iam.document(*(statement for statements in granted for statement in statements))
            ),
            opts=self._child,
        )
        return role, policy

    def _alarms(self, dead: sqs.Queue) -> None:
        function = {"FunctionName": self.name}
        watched: tuple[tuple[str, str, str, str, Mapping[str, pulumi.Input[str]]], ...] = (
            ("errors", "fails", "AWS/Lambda", "Errors", function),
            ("throttles", "is called more often than it may run", "AWS/Lambda", "Throttles", function),
            (
                "dead-letters",
                "gave up on an event",
                "AWS/SQS",
                _VISIBLE,
                {"QueueName": dead.name},
            ),
        )
        for role, says, namespace, metric, dimensions in watched:
            alarm(
                f"{self._name}-{role}",
                context=self._context,
                says=f"The function {self._name} {says}.",
                runbook=self._args.runbook,
                namespace=namespace,
                metric=metric,
                dimensions=dimensions,
                statistic="Maximum" if namespace == "AWS/SQS" else "Sum",
                above=0,
                periods=1,
                severity=self._args.severity,
                opts=self._child,
            )
