"""What an update may not do unasked: replace or delete what holds data, or upgrade it in a way that must fail.

The engine shows such a step among hundreds of others. Here it stops the update, before anything is changed, until a
person has named the resource.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from components import aws_facts
from scripts.deployment import Deployment, Failed, Plan, Say, Step

# What is gone with its data, its address that others know, or the only key to either.
STATEFUL = frozenset(
    {
        "aws:cloudfront/distribution:Distribution",
        "aws:ec2/eip:Eip",
        "aws:ec2/vpc:Vpc",
        "aws:ecr/repository:Repository",
        "aws:eks/cluster:Cluster",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:kms/key:Key",
        "aws:mq/broker:Broker",
        "aws:rds/instance:Instance",
        "aws:s3/bucket:Bucket",
        "aws:secretsmanager/secret:Secret",
        "aws:sfn/stateMachine:StateMachine",
        "aws:sqs/queue:Queue",
    }
)
_LOSING = frozenset({"replace", "delete", "delete-replaced", "create-replacement"})
# Type → the input that holds the version, and the engine whose upgrades are known.
_ENGINES: Mapping[str, tuple[str, aws_facts.Engine]] = {
    "aws:rds/instance:Instance": ("engineVersion", aws_facts.POSTGRESQL),
    "aws:mq/broker:Broker": ("engineVersion", aws_facts.RABBITMQ),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("engineVersion", aws_facts.VALKEY),
    "aws:eks/cluster:Cluster": ("version", aws_facts.KUBERNETES),
}


class Refused(RuntimeError):
    """The plan would lose something; the message says what, why, and how to ask for it."""


def check(steps: Iterable[Step], allowed: Collection[str]) -> None:
    """Raise Refused for every step that loses a stateful resource not named in ``allowed``, or upgrades one wrongly."""
    found = [problem for step in steps if (problem := _problem(step, allowed))]
    if found:
        raise Refused("\n".join(dict.fromkeys(found)))


def up(deployment: Deployment, say: Say, *, allowed: Sequence[str]) -> Mapping[str, int]:
    """Plan, judge, check, and only then make it so. Raises Refused and Failed."""
    deployment.prepare(say)
    steps = plan(deployment, say, allowed=allowed).steps
    if strangers := sorted(set(allowed) - {step.urn for step in steps}):
        raise Refused(f"--allow-replace names {', '.join(strangers)}, which the plan does not touch; take it out")
    return deployment.make(say)


def plan(deployment: Deployment, say: Say, *, allowed: Collection[str]) -> Plan:
    """Plan, judge and check; changes nothing. Raises Refused and Failed."""
    try:
        planned = deployment.plan(say)
    except Failed as error:
        # The engine itself stops at the first protected resource: say which there are, and why.
        check(error.steps, allowed)
        raise
    check(planned.steps, allowed)
    return planned


def _problem(step: Step, allowed: Collection[str]) -> str | None:
    if step.type in STATEFUL and step.operation in _LOSING and step.urn not in allowed:
        verb = "deleted" if step.operation == "delete" else "replaced"
        because = f" because {', '.join(step.changed)} changed" if step.changed else ""
        return (
            f"{step.name} ({step.type}) would be {verb}{because}; what it holds would be lost. Undo the change or, "
            f"when that is meant, say --allow-replace '{step.urn}'"
        )
    if step.type in _ENGINES and step.operation == "update":
        version, engine = _ENGINES[step.type]
        running, wanted = (str(side.get(version) or "") for side in (step.before, step.after))
        if running != wanted:
            try:
                engine.check_upgrade(running, wanted)
            except ValueError as error:
                return f"{step.name}: {error}"
    return None
