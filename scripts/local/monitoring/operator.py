"""Keeps Prometheus and Alertmanager at what the cluster declares: PodMonitors and PrometheusRules of every namespace,
and the configuration that the stack gives the chart of both.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path

import httpx
import yaml

from scripts.local.kubernetes.api import Api, ApiError, Object
from scripts.local.monitoring import alertmanager, prometheus
from scripts.local.monitoring.configured import Configured

log = logging.getLogger(__name__)
_GROUP = "/apis/monitoring.coreos.com/v1"
# The record of the chart's release, with its values (scripts/local/kubernetes/provider/releases.py).
_RELEASE = "/api/v1/namespaces/kube-prometheus-stack/secrets/sh.helm.release.local.v1.kube-prometheus-stack"
_EVERY_SECONDS = 2.0
# Prometheus watches the files of targets by itself.
_READ_WHEN_ASKED = {prometheus.CONFIGURATION, prometheus.RULES, alertmanager.CONFIGURATION}


class Operator:
    """The loop: writes files when what is declared has changed, and asks whose they are to read them.

    ``endpoint`` is where AWS is, for what Alertmanager tells its topics.
    """

    def __init__(self, kubeconfig: Path, watcher: Configured, teller: Configured, endpoint: str) -> None:
        self._kubeconfig, self._watcher, self._teller, self._endpoint = kubeconfig, watcher, teller, endpoint

    async def run(self) -> None:
        """Work until cancelled."""
        written: dict[Path, str] = {}
        async with Api(self._kubeconfig) as api, httpx.AsyncClient(timeout=10) as http:
            while True:
                try:
                    wanted = await self._wanted(api)
                    changed = {file: text for file, text in wanted.items() if written.get(file) != text}
                    for file, text in changed.items():
                        draft = file.with_name(f".{file.name}")
                        draft.write_text(text)
                        draft.rename(file)
                    for server in (self._watcher, self._teller):
                        if any(file.parent == server.folder and file.name in _READ_WHEN_ASKED for file in changed):
                            (await http.post(f"{server.url}/-/reload")).raise_for_status()
                            log.info("%s reads what the cluster declares", server.folder.name)
                    written = wanted
                except ApiError as error:
                    # The stack brings the definitions, and the release; until then there is nothing to read.
                    if error.status != 404:
                        log.error("%s", error)
                except httpx.HTTPError as error:
                    log.error("%r", error)
                await asyncio.sleep(_EVERY_SECONDS)

    async def _wanted(self, api: Api) -> dict[Path, str]:
        monitors, rules = [(await api.get(f"{_GROUP}/{kind}"))["items"] for kind in ("podmonitors", "prometheusrules")]
        kept = (await api.get(_RELEASE))["data"]["release"]
        values = json.loads(base64.b64decode(kept))["inputs"]["values"]
        told = alertmanager.configuration(values["alertmanager"]["config"], self._endpoint)
        watched = {
            **{prometheus.target_file(each): json.dumps(await self._targets(api, each)) for each in monitors},
            prometheus.CONFIGURATION: yaml.safe_dump(prometheus.configuration(monitors, self._teller.url)),
            prometheus.RULES: yaml.safe_dump(prometheus.rules(rules)),
        }
        return {
            **{self._watcher.folder / name: text for name, text in watched.items()},
            self._teller.folder / alertmanager.CONFIGURATION: yaml.safe_dump(told),
        }

    async def _targets(self, api: Api, monitor: Object) -> list[Object]:
        labels = ",".join(f"{name}={value}" for name, value in monitor["spec"]["selector"]["matchLabels"].items())
        path = f"/api/v1/namespaces/{monitor['metadata']['namespace']}/pods"
        return prometheus.targets(monitor, (await api.get(path, labelSelector=labels))["items"])
