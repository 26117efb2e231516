"""A registry of ECR: signing in, whether it has a build, keeping a release, and copying from another account's."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from typing import Any

from components.registry import RELEASE_PREFIX
from scripts.images.build import CannotBuild, run
from stacks.settings import ServiceName

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
