"""The saga that turns a hold into a booked ticket: a Standard state machine and the queues of commands it sends.

Each service takes its commands from a queue of its own and answers with the task token; a message that cannot be worked
on goes to a dead-letter queue. Standard, not Express: an execution's name is the order's id, so it starts once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, sfn, sqs
from pulumi_aws import iam as aws_iam

from components import encryption, iam, saga_definition
from components.alarm import alarm
from components.context import Context
from components.queues import queue
from components.severity import Severity

# Seconds. A command is hidden while it is worked on; the worker extends this with every heartbeat.
_VISIBILITY = 60
# Deliveries before a message is dead: the workers answer Transient themselves, so only poison gets this far.
_DELIVERIES = 5
LIVE = "live"
_ANSWERS = ("states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat")


class Saga(pulumi.ComponentResource):
    """The state machine, a command queue for each service, the queue of parked orders, and their alarms."""

    state_machine_arn: pulumi.Output[str]
    alias_arn: pulumi.Output[str]
    """What starts executions: always the version that is live, whatever is being deployed."""
    queue_urls: dict[str, pulumi.Output[str]]
    dead_letter_urls: dict[str, pulumi.Output[str]]
    key_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        shared_key: pulumi.Output[str] | None = None,
        watched: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``shared_key`` is that of the environment whose guest it is; one that is not ``watched`` has no alarms."""
        super().__init__("platform:saga:Saga", name, None, opts)
        self._name, self._context, self._watched = name, context, watched
        self._child = pulumi.ResourceOptions(parent=self)
        self.key_arn = shared_key or self._own_key()
        self.dead_letter_urls = {}
        self._queues = {
            service: self._queue(service) for service in (*saga_definition.SERVICES, saga_definition.OPERATOR)
        }
        self.queue_urls = {service: made.url for service, made in self._queues.items()}
        machine = self._state_machine()
        self.state_machine_arn = machine.arn
        self.alias_arn = self._alias(machine).arn
        if watched:
            self._alarms(machine)
        self.register_outputs({"state_machine_arn": self.state_machine_arn})

    def _own_key(self) -> pulumi.Output[str]:
        return encryption.key(
            self._name,
            context=self._context,
            purpose="Saga commands and executions",
            services=(f"logs.{self._context.region}.amazonaws.com", "states.amazonaws.com"),
            opts=self._child,
        ).arn

    def work(self, service: str) -> pulumi.Output[list[dict[str, Any]]]:
        """What a worker of ``service`` may do: take its commands and answer them."""
        receive = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
        return pulumi.Output.all(self._queues[service].arn, self.state_machine_arn, self.key_arn).apply(
            lambda arns: [
                iam.allow(receive, (arns[0],)),
                iam.allow(_ANSWERS, (arns[1],)),
                iam.allow(("kms:Decrypt",), (arns[2],)),
            ]
        )

    def start(self) -> pulumi.Output[list[dict[str, Any]]]:
        """What booking may do besides: start an order's execution and read its trail."""

        def statements(known: Sequence[str]) -> list[dict[str, Any]]:
            machine, alias, key = known
            executions = machine.replace(":stateMachine:", ":execution:") + ":*"
            return [
                iam.allow(("states:StartExecution",), (alias,)),
                iam.allow(("states:DescribeExecution", "states:GetExecutionHistory"), (executions,)),
                iam.allow(("kms:Decrypt", "kms:GenerateDataKey"), (key,)),
            ]

        return pulumi.Output.all(self.state_machine_arn, self.alias_arn, self.key_arn).apply(statements)

    def _queue(self, service: str) -> sqs.Queue:
        name = f"{self._name}-{service}"
        made, dead = queue(
            name,
            key_arn=self.key_arn,
            visibility=_VISIBILITY,
            deliveries=_DELIVERIES,
            tags=self._context.tags(self._name),
            opts=self._child,
        )
        if self._watched:
            alarm(
                f"{name}-dead-letters",
                context=self._context,
                says=f"A command for {service} could not be worked on.",
                runbook="dead_letter_redrive",
                namespace="AWS/SQS",
                metric="ApproximateNumberOfMessagesVisible",
                dimensions={"QueueName": dead.name},
                above=0,
                periods=1,
                opts=self._child,
            )
        self.dead_letter_urls[service] = dead.url
        return made

    def _state_machine(self) -> sfn.StateMachine:
        name, context, child = self._name, self._context, self._child
        logs = cloudwatch.LogGroup(
            name,
            # Step Functions delivers to groups with this prefix without touching the account's resource policies.
            name=f"/aws/vendedlogs/states/{context.environment}-{name}",
            kms_key_id=self.key_arn,
            retention_in_days=context.log_retention_days,
            tags=context.tags(name),
            opts=child,
        )
        role = aws_iam.Role(
            name,
            assume_role_policy=context.trust("states.amazonaws.com"),
            tags=context.tags(name),
            opts=child,
        )
        policy = aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(queues=[made.arn for made in self._queues.values()], key=self.key_arn).apply(
                lambda known: execution_policy(known["queues"], known["key"])
            ),
            opts=child,
        )
        return sfn.StateMachine(
            name,
            type="STANDARD",
            role_arn=role.arn,
            definition=pulumi.Output.all(**self.queue_urls).apply(
                lambda urls: json.dumps(saga_definition.definition(urls), indent=2)
            ),
            publish=True,
            logging_configuration=sfn.StateMachineLoggingConfigurationArgs(
                level="ERROR",
                # Payloads carry ids of buyers: they stay out of the logs.
                include_execution_data=False,
                log_destination=pulumi.Output.format("{0}:*", logs.arn),
            ),
            tracing_configuration=sfn.StateMachineTracingConfigurationArgs(enabled=True),
            encryption_configuration=_encrypted(self.key_arn),
            tags=context.tags(name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _alias(self, machine: sfn.StateMachine) -> sfn.Alias:
        """An update publishes a version and sends every new order to it; orders under way end on theirs."""
        return sfn.Alias(
            self._name,
            name=LIVE,
            description="The version that new orders take",
            routing_configurations=[
                sfn.AliasRoutingConfigurationArgs(
                    state_machine_version_arn=machine.state_machine_version_arn, weight=100
                )
            ],
            opts=self._child,
        )

    def _alarms(self, machine: sfn.StateMachine) -> None:
        parked = self._queues[saga_definition.OPERATOR]
        watched: tuple[tuple[str, str, str, str, Mapping[str, pulumi.Input[str]], Severity], ...] = (
            (
                "failed",
                "Orders ended without a decision.",
                "AWS/States",
                "ExecutionsFailed",
                {"StateMachineArn": machine.arn},
                Severity.PAGE,
            ),
            (
                "timed-out",
                "Orders ran out of time.",
                "AWS/States",
                "ExecutionsTimedOut",
                {"StateMachineArn": machine.arn},
                Severity.PAGE,
            ),
            (
                "parked",
                "Orders wait for a person to decide.",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": parked.name},
                Severity.PAGE,
            ),
        )
        for role, says, namespace, metric, dimensions, severity in watched:
            alarm(
                f"{self._name}-{role}",
                context=self._context,
                says=says,
                runbook="stuck_saga",
                namespace=namespace,
                metric=metric,
                dimensions=dimensions,
                above=0,
                periods=1,
                severity=severity,
                opts=self._child,
            )


def execution_policy(queue_arns: Sequence[str], key_arn: str) -> str:
    """What the state machine itself may do: send commands, write its log, trace."""
    deliver = (
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    )
    trace = (
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
    )
    return iam.document(
        iam.allow(("sqs:SendMessage",), tuple(queue_arns)),
        iam.allow(("kms:Decrypt", "kms:GenerateDataKey"), (key_arn,)),
        # Neither log delivery nor X-Ray knows resources (Step Functions Developer Guide, "Logging" and "X-Ray").
        iam.allow((*deliver, *trace), ("*",)),
    )


def _encrypted(key: pulumi.Input[str]) -> sfn.StateMachineEncryptionConfigurationArgs:
    return sfn.StateMachineEncryptionConfigurationArgs(
        type="CUSTOMER_MANAGED_KMS_KEY", kms_key_id=key, kms_data_key_reuse_period_seconds=300
    )
