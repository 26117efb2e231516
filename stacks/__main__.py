"""The Pulumi program: read the stack's configuration, build its environment, export its contract."""

from __future__ import annotations

import gc

import pulumi
from pulumi.runtime import get_config_env

from stacks import environment
from stacks.settings import from_config

# Whatever the program makes it keeps until it ends, seconds later: looking for garbage took a quarter of its time.
gc.disable()
stack = pulumi.get_stack()
settings = from_config(get_config_env(), f"Pulumi.{stack}.yaml")
made = environment.build(settings, region=pulumi.Config("aws").require("region"))
for name, value in made.exported().items():
    pulumi.export(name, value)
