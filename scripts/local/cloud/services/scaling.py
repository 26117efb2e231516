"""Auto Scaling: groups of instances, and targets and policies of other services."""

from __future__ import annotations

from scripts.local.cloud.services.simple import simple
from scripts.local.cloud.table import Call, by

ROWS = (
    simple(
        "aws:appautoscaling/target:Target",
        "application-autoscaling",
        "register_scalable_target",
        lambda s, _: f"{s['serviceNamespace']}/{s['resourceId']}/{s['scalableDimension']}",
        upsert=True,
        read=by("describe_scalable_targets", {"ServiceNamespace": "serviceNamespace", "ResourceIds": ["resourceId"]}),
        at="ScalableTargets[0]",
        names={"roleArn": "RoleARN"},
        delete=by(
            "deregister_scalable_target",
            {
                "ServiceNamespace": "serviceNamespace",
                "ResourceId": "resourceId",
                "ScalableDimension": "scalableDimension",
            },
        ),
        outputs={"arn": lambda s, a: a.get("ScalableTargetARN"), "suspendedState": lambda s, _: None},
        replaces=("resourceId", "scalableDimension", "serviceNamespace"),
    ),
    simple(
        "aws:appautoscaling/policy:Policy",
        "application-autoscaling",
        "put_scaling_policy",
        "inputs.name",
        name="name",
        upsert=True,
        names={
            "name": "PolicyName",
            "targetTrackingScalingPolicyConfiguration": "TargetTrackingScalingPolicyConfiguration",
        },
        read=by("describe_scaling_policies", {"ServiceNamespace": "serviceNamespace", "PolicyNames": ["id"]}),
        at="ScalingPolicies[0]",
        replaces=("name", "resourceId", "scalableDimension", "serviceNamespace"),
        outputs={
            "arn": "PolicyARN",
            "stepScalingPolicyConfiguration": lambda s, _: None,
            "targetTrackingScalingPolicyConfiguration": lambda s, _: None,
        },
        delete=by(
            "delete_scaling_policy",
            {
                "PolicyName": "id",
                "ServiceNamespace": "serviceNamespace",
                "ResourceId": "resourceId",
                "ScalableDimension": "scalableDimension",
            },
        ),
    ),
    simple(
        "aws:autoscaling/group:Group",
        "autoscaling",
        "create_auto_scaling_group",
        "inputs.name",
        name="name",
        params={
            "VPCZoneIdentifier": lambda s: (
                ",".join(map(str, s["vpcZoneIdentifiers"])) if s["vpcZoneIdentifiers"] else None
            ),
            "LaunchTemplate": lambda s: (
                {
                    key: value
                    for key, value in (
                        ("LaunchTemplateId", s["launchTemplate"].get("id")),
                        ("LaunchTemplateName", s["launchTemplate"].get("name")),
                        ("Version", s["launchTemplate"].get("version")),
                    )
                    if value is not None
                }
                if s["launchTemplate"]
                else None
            ),
            "Tags": lambda s: [
                {"Key": t["key"], "Value": t["value"], "PropagateAtLaunch": t["propagateAtLaunch"]}
                for t in s["tags"] or []
            ],
        },
        read=by("describe_auto_scaling_groups", {"AutoScalingGroupNames": ["id"]}),
        at="AutoScalingGroups[0]",
        update=(Call("update_auto_scaling_group", {"AutoScalingGroupName": "id"}),),
        delete=by("delete_auto_scaling_group", {"AutoScalingGroupName": "id", "ForceDelete": "forceDelete"}),
        names={"name": "AutoScalingGroupName", "arn": "AutoScalingGroupARN"},
        outputs={"vpcZoneIdentifiers": lambda s, _: None, "launchTemplate": lambda s, _: None},
        mutable=("launchTemplate", "vpcZoneIdentifiers", "tags"),
    ),
)
