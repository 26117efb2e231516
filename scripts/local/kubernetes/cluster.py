"""Everything that makes up local Kubernetes, in the order in which it is started."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.local.kubernetes.api import Api, Object
from scripts.local.kubernetes.control_plane import NODE, ControlPlane
from scripts.local.processes import Running, Server, await_ready, start

MANAGER = "local-platform"
NODE_GRACE = 20.0  # seconds; the agent gives pods five of them

# What the loops beside the node may do. `external_secrets` syncs the objects of its API group to Secrets, and restarts
# what reads them; `storage` makes the volumes that are claimed; `monitoring` reads what Prometheus is to do, and is
# Prometheus when that looks for pods; `balancer` reads which pods stand behind which target group.
_RULES: dict[str, list[Object]] = {
    "external-secrets": [
        {
            "apiGroups": ["external-secrets.io"],
            "resources": ["externalsecrets", "secretstores", "clustersecretstores"],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["external-secrets.io"],
            "resources": ["externalsecrets/status", "secretstores/status", "clustersecretstores/status"],
            "verbs": ["get", "update", "patch"],
        },
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "verbs": ["get", "list", "watch", "create", "patch", "update", "delete"],
        },
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "statefulsets", "daemonsets"],
            "verbs": ["get", "list", "patch"],
        },
    ],
    "storage": [
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "list", "watch"]},
        {
            "apiGroups": [""],
            "resources": ["persistentvolumes"],
            "verbs": ["get", "list", "watch", "create", "delete"],
        },
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "list", "watch"]},
    ],
    "monitoring": [
        {
            "apiGroups": ["monitoring.coreos.com"],
            "resources": ["podmonitors", "prometheusrules"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["sh.helm.release.local.v1.kube-prometheus-stack"],
            "verbs": ["get"],
        },
    ],
    "balancer": [
        {"apiGroups": ["elbv2.k8s.aws"], "resources": ["targetgroupbindings"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list", "watch"]},
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A control plane, its node, and what the node's agents need to know of the platform around them."""

    plane: ControlPlane
    images: Path
    aws_endpoint: str | None = None
    region: str = "eu-west-1"
    eks_cluster: str = "local"
    ca_bundle: Path | None = None
    hollow: bool = False
    """Pods are accepted and reported as running; none is run."""

    @property
    def state(self) -> Path:
        """Logs and volumes of pods."""
        return self.plane.folder / "node"

    def node(self) -> Server:
        """The node's agent."""
        if self.hollow:
            return self._server(
                "node",
                [
                    *(sys.executable, "-m", "scripts.local.kubernetes.hollow", "--host", self.plane.host),
                    *("--kubeconfig", self.plane.kubeconfig("node"), "--state", self.state, "--region", self.region),
                ],
            )
        command: list[str | Path] = [
            *(sys.executable, "-m", "scripts.local.kubernetes.node", "--block", self.plane.block),
            *("--kubeconfig", self.plane.kubeconfig("node"), "--pki", self.plane.pki, "--images", self.images),
            *("--state", self.state, "--region", self.region, "--cluster", self.eks_cluster),
            *(("--aws-endpoint", self.aws_endpoint) if self.aws_endpoint else ()),
            *(("--ca-bundle", self.ca_bundle) if self.ca_bundle else ()),
        ]
        return self._server("node", command)

    def external_secrets(self) -> Server | None:
        """The external-secrets loop; None without an AWS endpoint to read from."""
        if not self.aws_endpoint:
            return None
        kubeconfig = self.plane.kubeconfig("external-secrets")
        command: list[str | Path] = [
            *(sys.executable, "-m", "scripts.local.kubernetes.external_secrets", "--kubeconfig", kubeconfig),
            *("--aws-endpoint", self.aws_endpoint, "--region", self.region),
        ]
        return self._server("external-secrets", command)

    def storage(self) -> Server:
        """The loop that makes volumes."""
        command: list[str | Path] = [
            *(sys.executable, "-m", "scripts.local.kubernetes.storage", "--folder", self.state / "volumes"),
            *("--kubeconfig", self.plane.kubeconfig("storage")),
        ]
        return self._server("storage", command)

    def start(self, *, with_parent: bool = False) -> Iterator[Running]:
        """Start everything; yields each part as it runs. Raises NotReady."""
        yield from self.plane.start(with_parent=with_parent)
        yield from self.start_agents(with_parent=with_parent)

    def start_agents(self, *, with_parent: bool = False) -> Iterator[Running]:
        """Start what runs on a control plane that is up. Raises NotReady."""
        asyncio.run(prepare(self.plane.kubeconfig()))
        agent = start(self.node(), with_parent=with_parent)
        yield agent
        yield start(self.storage(), with_parent=with_parent)
        if server := self.external_secrets():
            yield start(server, with_parent=with_parent)
        await_ready(agent, lambda: node_ready(self.plane.kubeconfig()))

    def _server(self, name: str, command: list[str | Path]) -> Server:
        log = self.plane.folder / "logs" / f"{name}.log"
        return Server(name=name, command=[str(word) for word in command], log=log, grace=NODE_GRACE)


async def prepare(kubeconfig: Path) -> None:
    """Grant the loops their rights; safe to run again."""
    async with Api(kubeconfig) as api:
        for user, rules in _RULES.items():
            path, name = "/apis/rbac.authorization.k8s.io/v1", f"local-platform:{user}"
            role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
            binding = {**role, "kind": "ClusterRoleBinding", "subjects": [{"kind": "User", "name": user}]}
            binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
            await api.apply(f"{path}/clusterroles/{name}", {**role, "rules": rules}, manager=MANAGER)
            await api.apply(f"{path}/clusterrolebindings/{name}", binding, manager=MANAGER)


def node_ready(kubeconfig: Path) -> bool:
    """Whether the node has registered and pods may be scheduled on it."""

    async def look() -> bool:
        async with Api(kubeconfig) as api:
            node = await api.find(f"/api/v1/nodes/{NODE}")
        return bool(node) and not (node or {})["spec"].get("taints")

    return asyncio.run(look())
