"""Rules for pods: the Pod Security Standards, images that cannot be swapped, and what keeps a service up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.checks import (
    ABSENT,
    Properties,
    absent,
    at_least,
    first,
    includes,
    is_false,
    is_true,
    looks_secret,
    matching,
    none_of,
    not_matching,
    not_true,
    one_of,
    present,
    within,
)
from policies.kit import rule
from policies.pods import RUN_ON, containers, each, judged, of_each, pod, spec_of

_SERVICES = ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet")
_CAPABILITIES = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
_SYSCTLS = (
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
    *(
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ),
)
_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
_SELINUX = ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_PROFILES = ("RuntimeDefault", "Localhost")
_HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")


def allowed_volumes(props: Properties) -> str | None:
    """A volume of another kind reaches into the node."""
    place, spec = spec_of(props)
    for number, volume in enumerate(("volumes" in spec and spec["volumes"]) or ()):
        if wrong := [key for key in volume if key != "name" and key not in _VOLUMES]:
            return f"{place}.volumes[{number}] is of {wrong[0]}, it must be of {', '.join(_VOLUMES)}"
    return None


def probes_name_no_host(one: Mapping[str, Any]) -> str | None:
    """A probe that names a host makes the node ask for somebody else."""
    for handler in _HANDLERS:
        for kind in ("httpGet", "tcpSocket"):
            if first(one, f"{handler}.{kind}.host") not in (ABSENT, None, ""):
                return f".{handler}.{kind}.host is set, it must be absent"
    return None


def probes_differ(one: Mapping[str, Any]) -> str | None:
    """The same probe for both restarts what is only busy."""
    live, ready = one.get("livenessProbe"), one.get("readinessProbe")
    if live is None or ready is None or dict(live) != dict(ready):
        return None
    return ".livenessProbe is that of readiness, it must be more patient"


def probed(one: Mapping[str, Any]) -> str | None:
    """A container that listens says when it is ready; any says when it is stuck."""
    if one.get("livenessProbe") is None:
        return ".livenessProbe is absent, it must be set"
    if one.get("ports") and one.get("readinessProbe") is None:
        return ".readinessProbe is absent, it must be set: it listens"
    return None


def probed_services(props: Properties) -> str | None:
    """Init containers end, so they have no probes."""
    for place, one in containers(props):
        if ".containers[" in place and (said := probed(one)):
            return f"{place}{said}"
    return None


def fixed_image(one: Mapping[str, Any]) -> str | None:
    """A digest, or a tag that says something."""
    image = str(one.get("image"))
    name = image.rsplit("/", 1)[-1]
    fixed = "@sha256:" in image or (":" in name and not name.endswith(":latest"))
    return None if fixed else f".image is {image!r}, it must have a tag other than latest"


def pulls_again(one: Mapping[str, Any]) -> str | None:
    """What a digest names is the same for ever; a tag is asked for each time."""
    if "@sha256:" in str(one.get("image")) or one.get("imagePullPolicy") == "Always":
        return None
    return f".imagePullPolicy is {one.get('imagePullPolicy')!r}, it must be Always where image has no digest"


def no_credentials(one: Mapping[str, Any]) -> str | None:
    """The name is told, the value never."""
    for variable in one.get("env") or ():
        if looks_secret(variable.get("value") if "value" in variable else None):
            return f".env {variable['name']} is a credential, it must come from a Secret"
    return None


def spread(props: Properties) -> str | None:
    """Over zones, by constraints or by keeping away from one's own kind."""
    place, spec = spec_of(props)
    zones = [
        one.get("topologyKey")
        for one in ("topologySpreadConstraints" in spec and spec["topologySpreadConstraints"]) or ()
    ]
    apart = first(spec, "affinity.podAntiAffinity") is not ABSENT
    return (
        None
        if apart or "topology.kubernetes.io/zone" in zones
        else (f"{place}.topologySpreadConstraints are {zones}, they must have topology.kubernetes.io/zone")
    )


def _main(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **more}]}


_DIGEST = "registry/booking@sha256:" + "a" * 64
_LIVE = {"httpGet": {"path": "/livez", "port": "http"}}
_READY = {"httpGet": {"path": "/readyz", "port": "http"}}

RULES = [
    rule("pods-host-network", "PSS baseline/HostNamespaces", pod(not_true("hostNetwork"))),
    rule("pods-host-processes", "PSS baseline/HostNamespaces", pod(not_true("hostPID"))),
    rule("pods-host-ipc", "PSS baseline/HostNamespaces", pod(not_true("hostIPC"))),
    rule(
        "pods-not-windows-host",
        "PSS baseline/HostProcess",
        each(not_true("securityContext.windowsOptions.hostProcess"), inherited=True),
    ),
    rule("pods-unprivileged", "PSS baseline/Privileged", each(not_true("securityContext.privileged"))),
    rule(
        "pods-capabilities-baseline",
        "PSS baseline/CapabilitiesBaseline",
        each(within("securityContext.capabilities.add", *_CAPABILITIES)),
    ),
    rule("pods-without-host-paths", "PSS baseline/HostPath", pod(absent("volumes[].hostPath", {"path": "/"}))),
    rule("pods-without-host-ports", "PSS baseline/HostPorts", each(one_of("ports[].hostPort", 0, absent_is_fine=True))),
    rule(
        "pods-probe-themselves",
        "PSS baseline/HostProbes",
        of_each(
            "livenessProbe",
            probes_name_no_host,
            good={"livenessProbe": _LIVE},
            bad={"livenessProbe": {"httpGet": {"host": "elsewhere"}}},
            remedy="Remove host from the probe",
        ),
    ),
    rule(
        "pods-app-armor",
        "PSS baseline/AppArmor",
        each(one_of("securityContext.appArmorProfile.type", *_PROFILES, absent_is_fine=True), inherited=True),
    ),
    rule(
        "pods-selinux-type",
        "PSS baseline/SELinux",
        each(one_of("securityContext.seLinuxOptions.type", *_SELINUX, absent_is_fine=True), inherited=True),
    ),
    rule(
        "pods-selinux-user", "PSS baseline/SELinux", each(absent("securityContext.seLinuxOptions.user"), inherited=True)
    ),
    rule(
        "pods-proc-mount",
        "PSS baseline/ProcMount",
        each(one_of("securityContext.procMount", "Default", absent_is_fine=True)),
    ),
    rule(
        "pods-confined",
        "PSS baseline/SeccompBaseline",
        each(none_of("securityContext.seccompProfile.type", "Unconfined"), inherited=True),
    ),
    rule(
        "pods-safe-sysctls",
        "PSS baseline/Sysctls",
        pod(one_of("securityContext.sysctls[].name", *_SYSCTLS, absent_is_fine=True)),
    ),
    rule(
        "pods-volume-types",
        "PSS restricted/VolumeTypes",
        judged(
            "volumes",
            allowed_volumes,
            good={"volumes": [{"name": "a", "emptyDir": {}}]},
            bad={"volumes": [{"name": "a", "nfs": {}}]},
            remedy="Use a volume of an allowed kind",
        ),
    ),
    rule(
        "no-privilege-escalation",
        "PSS restricted/PrivilegeEscalation",
        each(is_false("securityContext.allowPrivilegeEscalation")),
        remedy="Set securityContext.allowPrivilegeEscalation to false in every container",
    ),
    rule("pods-not-root", "PSS restricted/RunAsNonRoot", each(is_true("securityContext.runAsNonRoot"), inherited=True)),
    rule(
        "pods-not-user-zero", "PSS restricted/RunAsUser", each(none_of("securityContext.runAsUser", 0), inherited=True)
    ),
    rule(
        "pods-seccomp",
        "PSS restricted/SeccompRestricted",
        each(one_of("securityContext.seccompProfile.type", *_PROFILES), inherited=True),
    ),
    rule(
        "pods-drop-capabilities",
        ("PSS restricted/CapabilitiesRestricted", "CKV CKV_K8S_28/37/39"),
        each(includes("securityContext.capabilities.drop", "ALL")),
    ),
    rule(
        "pods-add-no-capability",
        "PSS restricted/CapabilitiesRestricted",
        each(within("securityContext.capabilities.add", "NET_BIND_SERVICE")),
    ),
    rule(
        "pods-probed",
        "CKV CKV_K8S_8/9",
        judged(
            "containers",
            probed_services,
            good=_main(livenessProbe=_LIVE),
            bad=_main(ports=[{"containerPort": 80}]),
            remedy="Say when it is stuck and when it is ready",
        ),
        types=_SERVICES,
    ),
    rule("pods-request-cpu", "CKV CKV_K8S_10/12", each(present("resources.requests.cpu", "100m"))),
    rule("pods-request-memory", "CKV CKV_K8S_10/12", each(present("resources.requests.memory", "64Mi"))),
    rule("pods-limit-memory", "CKV CKV_K8S_11/13", each(present("resources.limits.memory", "64Mi"))),
    rule(
        "image-tag-fixed",
        "CKV CKV_K8S_14",
        of_each(
            "image",
            fixed_image,
            good={"image": "nginx:1.29"},
            bad={"image": "nginx:latest"},
            remedy="Name a version",
            absent_is_fine=False,
        ),
    ),
    rule(
        "image-by-digest",
        "CKV CKV_K8S_43",
        each(
            matching(
                "image", "@sha256:", _DIGEST, "registry/booking:latest", wanted="one that names a digest (@sha256:…)"
            )
        ),
        remedy="Name the image as repository@sha256:digest",
    ),
    rule(
        "image-pulled-again",
        "CKV CKV_K8S_15",
        of_each(
            "image",
            pulls_again,
            good={"image": _DIGEST},
            bad={"image": "nginx:1.29"},
            remedy="Name a digest",
            absent_is_fine=False,
        ),
    ),
    rule("pods-read-only", "CKV CKV_K8S_22", each(is_true("securityContext.readOnlyRootFilesystem"))),
    rule(
        "pods-no-runtime-socket",
        "CKV CKV_K8S_27",
        pod(
            not_matching(
                "volumes[].hostPath.path",
                r"(docker|containerd|crio)\.sock",
                "/var/run/docker.sock",
                wanted="another path",
            )
        ),
    ),
    rule("pods-no-token", "CKV CKV_K8S_38", pod(is_false("automountServiceAccountToken"))),
    rule(
        "pods-own-account",
        "CKV CKV_K8S_41/42",
        pod(none_of("serviceAccountName", "default", absent_is_fine=False)),
        types=_SERVICES,
    ),
    rule(
        "no-credentials-in-manifests",
        "NSA C-0012",
        of_each(
            "env",
            no_credentials,
            good={"env": [{"name": "A", "value": "b"}]},
            bad={"env": [{"name": "A", "value": "sk_live_1"}]},
            remedy="Mount a Secret",
        ),
    ),
    rule(
        "pods-no-ingress-nginx",
        "NSA C-0292",
        each(
            not_matching(
                "image",
                "ingress-nginx/controller",
                "registry.k8s.io/ingress-nginx/controller:v1",
                wanted="of a project that lives",
            )
        ),
    ),
    rule(
        "pods-spread",
        "KSCORE spread",
        judged(
            "topologySpreadConstraints",
            spread,
            good={"topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}]},
            bad={"topologySpreadConstraints": []},
            remedy="Spread over zones",
            absent_is_fine=False,
        ),
        types=_SERVICES,
    ),
    rule(
        "pods-probes-differ",
        "KSCORE probes",
        of_each(
            "livenessProbe",
            probes_differ,
            good={"livenessProbe": _LIVE, "readinessProbe": _READY},
            bad={"livenessProbe": _LIVE, "readinessProbe": _LIVE},
            remedy="Let liveness be more patient",
        ),
        types=RUN_ON,
    ),
    rule("pods-high-user", "CKV CKV_K8S_40", each(at_least("securityContext.runAsUser", 1000), inherited=True)),
]
