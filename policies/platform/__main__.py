"""The pack that every environment is judged by. Serving it blocks, so it happens here and nowhere else."""

from pulumi_policy import EnforcementLevel, PolicyPack

from policies.rules import compute, data

PolicyPack(name="platform", enforcement_level=EnforcementLevel.MANDATORY, policies=[*data.RULES, *compute.RULES])
