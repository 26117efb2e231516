"""The Pulumi program: read the stack's configuration, build its environment or preview, export its contract."""

from __future__ import annotations

import gc

import pulumi
from pulumi.runtime import get_config_env

from stacks import environment, preview
from stacks.settings import from_config, preview_from_config

# Whatever the program makes it keeps until it ends, seconds later: looking for garbage took a quarter of its time.
gc.disable()
config, source = get_config_env(), f"Pulumi.{pulumi.get_stack()}.yaml"
region = pulumi.Config("aws").require("region")
guest = preview_from_config(config, source)
made = (
    preview.build(guest, region=region)
    if guest
    else environment.build(from_config(config, source), region=region).exported()
)
for name, value in made.items():
    pulumi.export(name, value)
