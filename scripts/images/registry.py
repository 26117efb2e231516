"""A registry of ECR: signing in, whether it has a build, keeping a release, and copying from another account's."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.registry import RELEASE_PREFIX
from scripts.images.build import CannotBuild, run
from stacks.settings import ServiceName

# Severities of ECR's scan that are not left to the next week.
_GRAVE = ("CRITICAL", "HIGH")
# Service → URL@digest.
Images = Mapping[ServiceName, str]


def sign_in(ecr: Any) -> None:
    """Let docker, and cosign with it, push to the registry of the account of ``ecr``, boto3's client, for 12 hours."""
    [found] = ecr.get_authorization_token()["authorizationData"]
    user, password = base64.b64decode(found["authorizationToken"]).decode().split(":", 1)
    run([_program("docker"), "login", "--username", user, "--password-stdin", found["proxyEndpoint"]], told=password)


def digest(ecr: Any, repository: str, tag: str) -> str | None:
    """The digest of what ``repository`` (its URL) has under ``tag``; None when it has nothing. Tags never move."""
    try:
        [found] = ecr.describe_images(repositoryName=_name(repository), imageIds=[{"imageTag": tag}])["imageDetails"]
    except ecr.exceptions.ImageNotFoundException:
        return None
    return str(found["imageDigest"])


def keep(ecr: Any, repository: str, digest: str) -> None:
    """Give a digest a tag of a release: images without one expire (components/registry.py)."""
    name = _name(repository)
    [image] = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": digest}])["images"]
    tag = f"{RELEASE_PREFIX}{digest.removeprefix('sha256:')[:12]}"
    try:
        ecr.put_image(repositoryName=name, imageManifest=image["imageManifest"], imageDigest=digest, imageTag=tag)
    except ecr.exceptions.ImageAlreadyExistsException:
        return


@dataclass(frozen=True, slots=True)
class Flaw:
    """A known flaw of something in an image, as the registry's scan has found it."""

    service: str
    severity: str
    name: str
    package: str


def flaws(ecr: Any, environment: str, service: str, digest: str) -> list[Flaw]:
    """What is grave about an image, the worst first. Raises CannotBuild for one that was not scanned."""
    image = {"repositoryName": f"{environment}/{service}", "imageId": {"imageDigest": digest}}
    try:
        pages = ecr.get_paginator("describe_image_scan_findings").paginate(**image)
        found = [each for page in pages for each in page["imageScanFindings"].get("findings", ())]
    except ecr.exceptions.ScanNotFoundException as error:
        raise CannotBuild(
            f"{service} {digest} was not scanned, which happens at its push: `aws ecr start-image-scan` asks for it"
        ) from error
    grave = [each for each in found if each["severity"] in _GRAVE]
    return [
        Flaw(service, each["severity"], each["name"], _package(each))
        for each in sorted(grave, key=lambda each: (_GRAVE.index(each["severity"]), each["name"]))
    ]


def _package(finding: Mapping[str, Any]) -> str:
    said = {each["key"]: each["value"] for each in finding.get("attributes", ())}
    return f"{said.get('package_name', '?')} {said.get('package_version', '')}".rstrip()


def sign(repository: str, digest: str) -> None:
    """Sign as the workflow that runs: cosign takes its identity from GitHub, and there is no key to lose."""
    run([_program("cosign"), "sign", "--yes", f"{repository}@{digest}"])


def verify(image: str, github: str) -> None:
    """Raise CannotBuild unless a workflow of ``github`` (owner/name) on its main branch has signed ``image``."""
    identity = rf"^https://github\.com/{github}/\.github/workflows/[a-z]+\.yml@refs/heads/main$"
    trusted = ("--certificate-oidc-issuer", "https://token.actions.githubusercontent.com")
    program = _program("cosign")
    run([program, "verify", *trusted, "--certificate-identity-regexp", identity, image])


def copy(images: Images, repositories: Mapping[str, str], tag: str) -> dict[ServiceName, str]:
    """Bring ``images`` (service → URL@digest) to ``repositories`` under ``tag``, with signatures and bills of
    materials; the digests stay. Returns service → digest.
    """
    for service, image in images.items():
        run([_program("cosign"), "copy", image, f"{repositories[service]}:{tag}"])
    return {service: image.rsplit("@", 1)[1] for service, image in images.items()}


def _name(repository: str) -> str:
    return repository.split("/", 1)[1]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CannotBuild(f"{name} is not on PATH, and images are signed and pushed with it: install it")
    return found
