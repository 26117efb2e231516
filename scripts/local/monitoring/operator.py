"""Keeps Prometheus at what the cluster declares: PodMonitors and PrometheusRules of every namespace."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import httpx
import yaml

from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.monitoring import prometheus

log = logging.getLogger(__name__)
_GROUP = "/apis/monitoring.coreos.com/v1"
_EVERY_SECONDS = 2.0


class Operator:
    """The loop: writes Prometheus' files when what is declared has changed, and asks it to read them."""

    def __init__(self, kubeconfig: Path, folder: Path, url: str) -> None:
        self._kubeconfig, self._folder, self._url = kubeconfig, folder, url

    async def run(self) -> None:
        """Work until cancelled."""
        written: dict[str, str] = {}
        async with Api(self._kubeconfig) as api, httpx.AsyncClient(timeout=10) as http:
            while True:
                try:
                    wanted = await self._wanted(api)
                    changed = {name: text for name, text in wanted.items() if written.get(name) != text}
                    for name, text in changed.items():
                        draft = self._folder / f".{name}"
                        draft.write_text(text)
                        draft.rename(self._folder / name)
                    # Prometheus watches the files of targets by itself.
                    if changed.keys() & {prometheus.CONFIGURATION, prometheus.RULES}:
                        (await http.post(f"{self._url}/-/reload")).raise_for_status()
                        log.info("prometheus reads what the cluster declares")
                    written = wanted
                except ApiError as error:
                    # The stack brings the definitions; until then there is nothing to read.
                    if error.status != 404:
                        log.error("%s", error)
                except httpx.HTTPError as error:
                    log.error("%r", error)
                await asyncio.sleep(_EVERY_SECONDS)

    async def _wanted(self, api: Api) -> dict[str, str]:
        monitors, rules = [(await api.get(f"{_GROUP}/{kind}"))["items"] for kind in ("podmonitors", "prometheusrules")]
        return {
            **{prometheus.target_file(each): json.dumps(await self._targets(api, each)) for each in monitors},
            prometheus.CONFIGURATION: yaml.safe_dump(prometheus.configuration(monitors)),
            prometheus.RULES: yaml.safe_dump(prometheus.rules(rules)),
        }

    async def _targets(self, api: Api, monitor: Object) -> list[Object]:
        labels = ",".join(f"{name}={value}" for name, value in monitor["spec"]["selector"]["matchLabels"].items())
        path = f"/api/v1/namespaces/{monitor['metadata']['namespace']}/pods"
        return prometheus.targets(monitor, (await api.get(path, labelSelector=labels))["items"])
