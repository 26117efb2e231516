"""The canary's Deployment: a copy of the stable one with another image, which the stack knows nothing of."""

from __future__ import annotations

from typing import Any

from kubernetes import client

from components.canary_spec import CANARY
from runbooks._kit.model import Refused

_COMPONENT = "app.kubernetes.io/component"


class Pods:
    """The API of ``service`` in ``namespace``, through ``api``."""

    def __init__(self, api: client.ApiClient, namespace: str, service: str) -> None:
        self._apps, self._api, self._namespace = client.AppsV1Api(api), api, namespace
        self._stable, self.name = f"{service}-api", f"{service}-api-{CANARY}"

    def image(self) -> str:
        """The digest that the stable release runs. Raises Refused without a stable release."""
        return str(_container(self._read(self._stable))["image"]).rpartition("@")[2]

    def replicas(self) -> int:
        """How many pods the stable release wants now."""
        return int(self._read(self._stable)["spec"].get("replicas", 1))

    def create(self, digest: str, **variables: str) -> None:
        """Make the canary without pods; one that was left behind goes first. ``variables`` are those that differ."""
        self.delete()
        stable = self._read(self._stable)
        labels = {**stable["metadata"]["labels"], _COMPONENT: f"{stable['metadata']['labels'][_COMPONENT]}-{CANARY}"}
        spec = {
            name: stable["spec"][name]
            for name in ("template", "strategy", "revisionHistoryLimit", "progressDeadlineSeconds")
            if name in stable["spec"]
        }
        template = spec["template"]
        template["metadata"]["labels"] = {**template["metadata"]["labels"], _COMPONENT: labels[_COMPONENT]}
        for constraint in template["spec"].get("topologySpreadConstraints", []):
            constraint["labelSelector"] = {"matchLabels": template["metadata"]["labels"]}
        container = _container({"spec": spec})
        container["image"] = f"{str(container['image']).rpartition('@')[0]}@{digest}"
        own = [each for each in container.get("env") or [] if each["name"] not in variables]
        container["env"] = [*own, *({"name": name, "value": value} for name, value in variables.items())]
        self._apps.create_namespaced_deployment(
            self._namespace,
            {
                "metadata": {
                    "name": self.name,
                    "labels": labels,
                    # New values of secrets restart it, as they do the stable one.
                    "annotations": {"reloader.stakater.com/auto": "true"},
                },
                "spec": {**spec, "replicas": 0, "selector": {"matchLabels": labels}},
            },
        )

    def scale(self, replicas: int) -> None:
        """Have so many pods of the canary."""
        self._apps.patch_namespaced_deployment_scale(self.name, self._namespace, {"spec": {"replicas": replicas}})

    def delete(self) -> None:
        """Take the canary away; nothing to take away is fine."""
        try:
            self._apps.delete_namespaced_deployment(self.name, self._namespace, propagation_policy="Foreground")
        except client.ApiException as error:
            if error.status != 404:
                raise
            return

    def gone(self) -> bool:
        """Whether no Deployment of the canary is left."""
        try:
            self._apps.read_namespaced_deployment(self.name, self._namespace)
        except client.ApiException as error:
            if error.status != 404:
                raise
            return True
        return False

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = self._apps.read_namespaced_deployment(name, self._namespace)
        except client.ApiException as error:
            if error.status != 404:
                raise
            raise Refused(
                f"there is no Deployment {name}, so no release to compare with: `eventctl up` first"
            ) from None
        plain: dict[str, Any] = self._api.sanitize_for_serialization(found)
        return plain


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    [found] = deployment["spec"]["template"]["spec"]["containers"]
    one: dict[str, Any] = found
    return one
