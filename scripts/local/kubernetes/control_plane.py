"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback.

What differs from a cluster elsewhere, and why (docs/decisions/local-kubernetes.md):

- Pods and Services have loopback addresses, which the API server refuses in Endpoints and EndpointSlices. The three
  controllers that would write them are off; the local node's proxy selects the ready pods of a Service by itself.
- The ``kubernetes`` Service has no endpoint object for the same reason (``--endpoint-reconciler-type none``).
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.local.certificates import Authority, Pair
from scripts.local.kubernetes.certificates import kubeconfig, signing_key
from scripts.local.processes import Running, Server, await_ready, free_port, start

NODE = "local"
OFF = ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller")
GRACE = 10.0  # seconds; etcd and the API server end in well under one


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """Where one control plane keeps its data and listens.

    ``block`` is the loopback block ("127.7": servers on 127.7.0.x, pods on 127.7.1-95.x, Services in 127.7.96.0/20).
    ``bin`` is the folder of the Kubernetes binaries; etcd is taken from PATH. Ports must be free.
    """

    folder: Path
    bin: Path
    block: str
    port: int
    etcd: int
    etcd_peer: int
    controllers: int
    scheduler: int

    @classmethod
    def on_free_ports(cls, folder: Path, bin: Path, block: str) -> ControlPlane:
        """One on free ports: those that it had before if they are free, else the kernel's choice (6443 for the API)."""
        record, host = folder / "ports.json", f"{block}.0.1"
        before = {"port": 6443, **(json.loads(record.read_text()) if record.exists() else {})}
        parts = ("port", "etcd", "etcd_peer", "controllers", "scheduler")
        ports = {part: free_port(host, preferred=before.get(part, 0)) for part in parts}
        folder.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(ports))
        return cls(folder=folder, bin=bin, block=block, **ports)

    @classmethod
    def recorded(cls, folder: Path, bin: Path, block: str) -> ControlPlane:
        """The one that `on_free_ports` made for ``folder``, running or not. Raises FileNotFoundError."""
        return cls(folder=folder, bin=bin, block=block, **json.loads((folder / "ports.json").read_text()))

    @property
    def host(self) -> str:
        """The address that every server of the control plane listens on."""
        return f"{self.block}.0.1"

    @property
    def url(self) -> str:
        """The API server."""
        return f"https://{self.host}:{self.port}"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def authority(self) -> Path:
        """The certificate of the cluster's authority."""
        return self.pki / "ca.crt"

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig of ``admin``, ``node``, of a loop beside it (`cluster`), or of one of its own parts."""
        return self.folder / f"{user}.kubeconfig"

    def prepare(self) -> None:
        """Write certificates, keys and kubeconfigs; those that are there and still good are kept."""
        self.pki.mkdir(parents=True, exist_ok=True)
        authority = Authority(self.pki, "ca").create()
        kubelet_clients = Authority(self.pki, "kubelet-clients").create()
        signing_key(self.pki / "service-accounts.key")
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        authority.issue(
            "apiserver",
            "kube-apiserver",
            addresses=[self.host, "127.0.0.1", f"{self.block}.96.1", "localhost", *names],
        )
        authority.issue("etcd", "etcd", addresses=[self.host])
        authority.issue("etcd-client", "kube-apiserver")
        authority.issue("kubelet", f"system:node:{NODE}", organization="system:nodes", addresses=[self.host, NODE])
        kubelet_clients.issue("kubelet-client", "kube-apiserver")
        users = {
            "admin": ("admin", "system:masters"),
            "node": (f"system:node:{NODE}", "system:nodes"),
            "external-secrets": ("external-secrets", None),
            "storage": ("storage", None),
            "monitoring": ("monitoring", None),
            "balancer": ("balancer", None),
            "controller-manager": ("system:kube-controller-manager", None),
            "scheduler": ("system:kube-scheduler", None),
        }
        for user, (name, group) in users.items():
            pair = authority.issue(user, name, organization=group)
            kubeconfig(self.kubeconfig(user), self.url, self.authority, pair, user=user)

    def servers(self) -> list[Server]:
        """In the order in which they are started. `prepare` must have run."""
        return [self._etcd(), self._apiserver(), self._controller_manager(), self._scheduler()]

    def start(self, *, with_parent: bool = False) -> Iterator[Running]:
        """Start everything and yield each part as it runs, the API server when it answers. Raises NotReady."""
        self.prepare()
        etcd, apiserver, *rest = self.servers()
        yield start(etcd, with_parent=with_parent)
        running = start(apiserver, with_parent=with_parent)
        yield running
        await_ready(running, self.ready)
        for server in rest:
            yield start(server, with_parent=with_parent)

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=5) as answer:
            return bool(answer.status == 200)

    def _server(self, name: str, command: Sequence[object]) -> Server:
        return Server(
            name=name,
            command=[str(word) for word in command],
            log=self.folder / "logs" / f"{name}.log",
            cwd=self.folder,
            grace=GRACE,
        )

    def _etcd(self) -> Server:
        client, peer = f"https://{self.host}:{self.etcd}", f"https://{self.host}:{self.etcd_peer}"
        served, ca = self._pair("etcd"), self.authority
        return self._server(
            "etcd",
            [
                *("etcd", "--name", "local", "--data-dir", self.folder / "etcd", "--logger", "zap"),
                *("--log-level", "warn", "--snapshot-count", 10_000),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--cert-file", served.certificate, "--key-file", served.key),
                *("--client-cert-auth", "--trusted-ca-file", ca),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"local={peer}"),
                *("--peer-cert-file", served.certificate, "--peer-key-file", served.key),
                *("--peer-client-cert-auth", "--peer-trusted-ca-file", ca),
            ],
        )

    def _apiserver(self) -> Server:
        served, etcd, kubelet = self._pair("apiserver"), self._pair("etcd-client"), self._pair("kubelet-client")
        tokens = self.pki / "service-accounts.key"
        return self._server(
            "kube-apiserver",
            [
                *(self.bin / "kube-apiserver", "--bind-address", self.host, "--secure-port", self.port),
                *("--advertise-address", self.host, "--endpoint-reconciler-type", "none"),
                *("--etcd-servers", f"https://{self.host}:{self.etcd}", "--etcd-cafile", self.authority),
                *("--etcd-certfile", etcd.certificate, "--etcd-keyfile", etcd.key),
                *("--tls-cert-file", served.certificate, "--tls-private-key-file", served.key),
                *("--client-ca-file", self.authority, "--anonymous-auth=false"),
                *("--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction"),
                *("--service-account-key-file", tokens, "--service-account-signing-key-file", tokens),
                *("--service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
                *("--service-cluster-ip-range", f"{self.block}.96.0/20"),
                *("--kubelet-client-certificate", kubelet.certificate, "--kubelet-client-key", kubelet.key),
                *("--kubelet-certificate-authority", self.authority),
                *("--kubelet-preferred-address-types", "InternalIP", "--profiling=false"),
                # As on EKS: what a pod may do is Pod Security's decision.
                "--allow-privileged",
            ],
        )

    def _controller_manager(self) -> Server:
        config = self.kubeconfig("controller-manager")
        return self._server(
            "kube-controller-manager",
            [
                *(
                    self.bin / "kube-controller-manager",
                    "--kubeconfig",
                    config,
                    *self._serving(self.controllers, config),
                ),
                *("--controllers", ",".join(["*", *(f"-{name}" for name in OFF)]), "--use-service-account-credentials"),
                *("--service-account-private-key-file", self.pki / "service-accounts.key"),
                *("--root-ca-file", self.authority, "--terminated-pod-gc-threshold", 100),
                # A node that has just registered is looked at after a second rather than five.
                *("--node-monitor-period", "1s"),
                # Its default is a folder under /usr that it would create.
                *("--flex-volume-plugin-dir", self.folder / "flex-volumes"),
                # No metrics API runs here, so the autoscaler only reports that it cannot read: once a minute is enough.
                *("--horizontal-pod-autoscaler-sync-period", "60s"),
            ],
        )

    def _scheduler(self) -> Server:
        config = self.kubeconfig("scheduler")
        return self._server(
            "kube-scheduler",
            [self.bin / "kube-scheduler", "--kubeconfig", config, *self._serving(self.scheduler, config)],
        )

    def _serving(self, port: int, config: Path) -> list[object]:
        served = self._pair("apiserver")
        return [
            *("--bind-address", self.host, "--secure-port", port, "--leader-elect=false", "--profiling=false"),
            *("--tls-cert-file", served.certificate, "--tls-private-key-file", served.key),
            *("--authorization-kubeconfig", config, "--authentication-skip-lookup"),
        ]

    def _pair(self, name: str) -> Pair:
        return Pair(self.pki / f"{name}.crt", self.pki / f"{name}.key")
