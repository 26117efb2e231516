"""The provider of AWS: whatever the program makes has its tags, and nothing falls back to an untagged one."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


def provider(
    region: str, *, environment: str, owner: pulumi.Input[str], cost_center: pulumi.Input[str], **more: str
) -> aws.Provider:
    """The provider of everything of AWS that this program declares from now on, with ``more`` tags by name."""
    made = aws.Provider(
        "aws",
        region=region,
        default_tags=aws.ProviderDefaultTagsArgs(
            tags={
                "Environment": environment,
                "Owner": owner,
                "CostCenter": cost_center,
                "ManagedBy": "pulumi",
                "Project": pulumi.get_project(),
                **more,
            }
        ),
    )
    # Said of the outermost alone, for all else inherits it: asked back by the engine of each resource, it is a tenth of
    # a preview.
    pulumi.runtime.register_stack_transformation(lambda args: _with_provider(args, made))
    return made


def _with_provider(
    args: pulumi.ResourceTransformationArgs, provider: aws.Provider
) -> pulumi.ResourceTransformationResult | None:
    if args.opts.parent is not None or args.opts.provider is not None:
        return None
    if isinstance(args.resource, pulumi.CustomResource) and not args.type_.startswith("aws:"):
        return None
    inherited = pulumi.ResourceOptions(providers=[provider])
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, inherited))
