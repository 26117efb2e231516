"""`python -m services.notification.entrypoints.sync_workflows [--apply]`: bring Novu's workflows to what the code says.

Without `--apply` it tells what it would do. Safe to repeat. Workflows that the code does not name are left alone:
deliveries of an earlier release may still need them. Status 0: done, or nothing to do; 1: Novu refused.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Protocol

import httpx
from novu_py.models import NovuError

from services.common import logs
from services.common.settings import load_or_exit
from services.notification.adapters.novu import NovuNotifier
from services.notification.adapters.novu_workflows import definition, differs
from services.notification.settings import NovuSettings
from services.notification.workflows import WORKFLOWS

log = logs.get(__name__)


class Workflows(Protocol):
    """Where workflows are kept."""

    async def workflow(self, name: str) -> dict[str, Any] | None:
        """A workflow as it is."""

    async def create(self, definition: dict[str, Any]) -> None:
        """Make one."""

    async def update(self, name: str, definition: dict[str, Any]) -> None:
        """Replace one."""


async def sync(novu: Workflows, *, apply: bool) -> dict[str, str]:
    """Create and update what has to be; returns what was (or without ``apply`` would be) done, by workflow."""
    done: dict[str, str] = {}
    for name, workflow in WORKFLOWS.items():
        present = await novu.workflow(name)
        if present is None:
            done[name] = "create"
            if apply:
                await novu.create(definition(workflow))
        elif fields := differs(workflow, present):
            done[name] = f"update {', '.join(fields)}"
            if apply:
                await novu.update(name, definition(workflow, present))
    return done


async def _run(settings: NovuSettings, apply: bool) -> None:
    novu = NovuNotifier(settings.novu_api_key.get_secret_value(), settings.novu_api_base)
    try:
        done = await sync(novu, apply=apply)
    except (NovuError, httpx.HTTPError) as error:
        raise SystemExit(f"sync_workflows: {error!r}") from error
    finally:
        await novu.aclose()
    for name, action in done.items():
        log.info("workflow", name=name, action=action, applied=apply)
    log.info("workflows are as described" if apply or not done else "nothing was changed; repeat with --apply")


def main() -> None:
    """Compare, and with `--apply` change."""
    parser = argparse.ArgumentParser(prog="python -m services.notification.entrypoints.sync_workflows")
    parser.add_argument("--apply", action="store_true", help="change Novu; without it, tell what would be changed")
    arguments = parser.parse_args()
    settings = load_or_exit(NovuSettings)
    logs.configure("notification", settings.log_level)
    asyncio.run(_run(settings, arguments.apply))


if __name__ == "__main__":
    main()
