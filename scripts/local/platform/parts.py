"""What runs: each part's server, its readiness, and the address at which people and programs find it."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from scripts.deployment import ROOT
from scripts.local.balancer import haproxy
from scripts.local.cloud import data_plane, running
from scripts.local.kubernetes.cluster import Cluster
from scripts.local.kubernetes.control_plane import ControlPlane
from scripts.local.monitoring import alertmanager, prometheus
from scripts.local.platform.layout import Layout, Record
from scripts.local.processes import Server, free_port, listening
from scripts.local.servers import postgres, rabbitmq, redis
from scripts.toolchain import kubernetes
from stacks.by_hand import SECRETS_SET_BY_HAND
from stacks.settings import PROJECT

REGION, ACCOUNT, ENVIRONMENT = "eu-west-3", "123456789012", "local"


@dataclass(frozen=True, slots=True)
class Part:
    """A server, when it counts as ready, what it is, and its URL. A ``gate`` is ready before the next part starts."""

    server: Server
    ready: Callable[[], bool]
    kind: str
    url: str
    gate: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything that is started before the program runs. ``parts`` depend on nothing; the cluster follows them, and
    ``loops`` look at all.
    """

    parts: list[Part]
    cluster: Cluster
    loops: list[Server]
    record: Record


def plan(layout: Layout, block: str) -> Platform:
    """Choose addresses, write configurations and keys; starts nothing. Raises MissingProgram, CannotObtain."""
    authority = layout.authority.create()
    database = postgres.create(layout.folder / "postgres", f"{block}.0.10", authority)
    cache = redis.create(layout.folder / "redis", f"{block}.0.11", authority)
    broker = rabbitmq.create(layout.folder / "rabbitmq", f"{block}.0.12", authority)
    plane = ControlPlane.on_free_ports(layout.folder / "kubernetes", kubernetes.obtain(_nothing), block)
    plane.prepare()

    alertmanager_server, teller = alertmanager.create(layout.folder / "alertmanager", f"{block}.0.15")
    prometheus_server, watcher = prometheus.create(layout.folder / "prometheus", f"{block}.0.13", teller.url)
    balancer, place = haproxy.create(layout.folder / "balancer", f"{block}.0.14", authority, _names())
    stripe = _stand_in(layout, "stripe", f"{block}.0.20", "Stripe (stand-in)", "--state", "stripe.json")
    novu = _stand_in(layout, "novu", f"{block}.0.21", "Novu (stand-in)")
    issuer = _stand_in(layout, "issuer", f"{block}.0.22", "OIDC issuer (stand-in)", "--key", "issuer.json")

    # In the form of Standard Webhooks, which Novu asks for; to Stripe any text is a secret.
    webhook_secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    cloud_folder = layout.folder / "cloud"
    cloud = running.server(
        cloud_folder,
        region=REGION,
        account=ACCOUNT,
        data_plane=data_plane.DataPlane(
            postgres=data_plane.Postgres(host=database.host, port=database.port, admin_url=database.admin_url),
            redis=data_plane.Redis(host=cache.host, port=cache.port, admin_url=cache.url()),
            rabbitmq=data_plane.RabbitMQ(
                host=broker.host,
                port=broker.port,
                management_url=broker.management_url,
                user=rabbitmq.ADMIN,
                password=broker.password,
            ),
            kubernetes=data_plane.Kubernetes(kubeconfig=plane.kubeconfig()),
            secrets={
                f"{ENVIRONMENT}/{name}": json.dumps(value)
                for name, value in {
                    "booking-signing": {"key": _signing_key()},
                    "payment-stripe": {"key": f"sk_test_{secrets.token_hex(16)}", "webhook": webhook_secret},
                    "notification-novu": {"key": secrets.token_hex(16), "webhook": webhook_secret},
                    # Their readers do not run here.
                    **{
                        name: dict.fromkeys(SECRETS_SET_BY_HAND[name], "not-used-locally")
                        for name in ("identity-social", "identity-mail")
                    },
                    "database-authorities": {"bundle": authority.ca.read_text()},
                }.items()
            },
        ),
    )
    cloud = replace(cloud, env={**cloud.env, "SSL_CERT_FILE": str(authority.bundle)})
    ready = cloud_folder / "cloud.json"
    ready.unlink(missing_ok=True)
    started = [
        Part(database.server, database.ready, "PostgreSQL", f"{database.host}:{database.port}"),
        Part(cache.server, cache.ready, "Redis", f"{cache.host}:{cache.port}"),
        Part(broker.port_mapper, broker.mapped, "RabbitMQ's port mapper", "", gate=True),
        Part(broker.server, broker.ready, "RabbitMQ", broker.management_url),
        stripe,
        novu,
        issuer,
        Part(prometheus_server, watcher.ready, "Prometheus", watcher.url),
        Part(alertmanager_server, teller.ready, "Alertmanager", teller.url),
        Part(balancer, lambda: listening(place.host, place.port), "HAProxy", f"https://{place.host}:{place.port}"),
        Part(cloud, ready.exists, "AWS (simulated)", ""),
    ]
    return Platform(
        parts=started,
        loops=[
            Server(
                name="monitoring",
                command=[
                    *(sys.executable, "-m", "scripts.local.monitoring", "--cloud", str(cloud_folder)),
                    *("--kubeconfig", str(plane.kubeconfig("monitoring"))),
                    *("--prometheus", str(watcher.folder), watcher.url),
                    *("--alertmanager", str(teller.folder), teller.url),
                ],
                log=layout.folder / "monitoring" / "monitoring.log",
                env={"SSL_CERT_FILE": str(authority.bundle)},
            ),
            Server(
                name="balancer-controller",
                command=[
                    *(sys.executable, "-m", "scripts.local.balancer", "--cloud", str(ready)),
                    *("--kubeconfig", str(plane.kubeconfig("balancer")), "--folder", str(place.folder)),
                ],
                log=layout.folder / "balancer" / "balancer-controller.log",
            ),
        ],
        cluster=Cluster(plane=plane, images=layout.images, region=REGION, ca_bundle=authority.bundle),
        record=Record(
            code=code(),
            kubeconfig=str(plane.kubeconfig()),
            cloud=str(ready),
            webhook_secret=webhook_secret,
            urls={**{part.server.name: part.url for part in started}, "kube-apiserver": plane.url},
            kinds={
                **{part.server.name: part.kind for part in started},
                "node": "Kubernetes node",
                "external-secrets": "external-secrets (stand-in)",
                "storage": "storage driver (stand-in)",
                "monitoring": "alarms and Prometheus' operator (stand-in)",
                "balancer-controller": "AWS's load balancer and its controller (stand-in)",
            },
        ),
    )


def code() -> str:
    """The digest of the sources that the parts run: a part started from others does not do what this checkout says."""
    total = hashlib.sha256()
    for file in sorted((ROOT / "scripts" / "local").rglob("*.py")):
        total.update(file.read_bytes())
    return total.hexdigest()


def _stand_in(layout: Layout, name: str, host: str, kind: str, option: str = "", file: str = "") -> Part:
    port = free_port(host, 8080)
    options = [option, str(layout.folder / name / file)] if option else []
    server = Server(
        name=name,
        command=[sys.executable, "-m", f"scripts.local.{name}", "--host", host, "--port", str(port), *options],
        log=layout.folder / name / f"{name}.log",
    )
    return Part(server, lambda: listening(host, port), kind, f"http://{host}:{port}")


def _names() -> list[str]:
    """The domain of the stack, and one more label: that of a preview."""
    stack = yaml.safe_load((ROOT / f"Pulumi.{ENVIRONMENT}.yaml").read_text())["config"]
    domain = stack[f"{PROJECT}:edge"]["domain"]
    return [domain, f"*.{domain}"]


def _signing_key() -> str:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def _nothing(_: str) -> None:
    """`eventctl local up` has already obtained the tools, with progress."""
