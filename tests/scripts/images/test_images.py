"""Images: which builder is asked for what, and what the registry is told. Programs of others are stood in for."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from components.registry import RELEASE_PREFIX
from scripts import lock
from scripts.cli import app
from scripts.images import registry
from scripts.images.build import CannotBuild, Commit, Recipe, build, push
from tests.support.aws import mocked_aws

RUN = CliRunner()
DIGEST = "sha256:" + "a" * 64
# A program that writes down how it was called, and does what its callers wait for.
_PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
[ "$1 $2" = "buildx version" ] && exit {buildx}
while [ $# -gt 0 ]; do
    case "$1" in
        --iidfile) printf '{digest}' > "$2" ;;
        --metadata-file) printf '{{"containerimage.digest": "{digest}"}}' > "$2" ;;
        --password-stdin) cat >> "$CALLS" ;;
    esac
    shift
done
exit {code}
"""
Programs = Callable[..., Path]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts programs on a PATH that has git and no other; returns the file of their calls."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()

    def make(*names: str, buildx: int = 0, code: int = 0) -> Path:
        for name in names:
            program = folder / name
            program.write_text(_PROGRAM.format(digest=DIGEST, buildx=buildx, code=code))
            program.chmod(0o755)
        for name in ("basename", "cat", "git", "sh"):
            found = next(Path(place, name) for place in os.defpath.split(":") if place and Path(place, name).exists())
            (folder / name).symlink_to(found)
        calls.touch()
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setenv("CALLS", str(calls))
        return calls

    return make


@pytest.fixture
def ecr() -> Iterator[Any]:
    with mocked_aws():
        make: Any = boto3.client
        client = make("ecr", region_name="eu-west-3", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_repository(repositoryName="dev/booking")
        yield client


def recipe(**arguments: str) -> Recipe:
    return Recipe(service="booking", commit=Commit("c" * 40, 1_700_000_000), arguments=arguments)


def say(_: str) -> None:
    pass


def test_an_image_is_built_by_docker_where_it_has_buildx(programs: Programs) -> None:
    calls = programs("docker", "buildah")
    assert build(recipe(), say) == DIGEST
    [_, called] = calls.read_text().splitlines()
    assert called.startswith("docker buildx build")
    assert "SOURCE_DATE_EPOCH=1700000000" in called


def test_an_image_is_built_by_buildah_where_docker_has_no_buildx(programs: Programs) -> None:
    calls = programs("docker", "buildah", buildx=1)
    assert build(recipe(PYTHON="localhost/base"), say) == DIGEST
    called = calls.read_text().splitlines()[-1]
    assert called.startswith("buildah bud")
    assert "--timestamp 1700000000" in called
    assert "--build-arg PYTHON=localhost/base" in called


def test_without_a_builder_it_is_said_which_ones_there_are(programs: Programs) -> None:
    programs()
    with pytest.raises(CannotBuild, match="docker with its buildx nor buildah"):
        build(recipe(), say)


def test_what_is_pushed_carries_its_bill_of_materials_and_provenance(programs: Programs) -> None:
    calls = programs("docker")
    assert push(recipe(), "1.example/dev/booking", say) == DIGEST
    called = calls.read_text().splitlines()[-1]
    assert "--sbom=true" in called
    assert "--provenance=mode=max" in called
    assert "--tag 1.example/dev/booking:build-cccccccccccc" in called


def test_a_builder_that_fails_is_quoted(programs: Programs) -> None:
    programs("buildah", code=3)
    with pytest.raises(CannotBuild, match=r"buildah bud .* ended with 3"):
        build(recipe(), say)


def test_an_image_is_not_called_by_a_commit_that_it_is_not_made_of(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    assert re.fullmatch(r"build-[0-9a-f]{12}", Commit.of(tmp_path).tag)
    (tmp_path / "services" / "code.py").write_text("2")
    with pytest.raises(CannotBuild, match=r"services/code.py"):
        Commit.of(tmp_path)


def test_a_tag_that_the_registry_has_is_answered_with_its_digest_and_another_with_nothing(ecr: Any) -> None:
    pushed = ecr.put_image(repositoryName="dev/booking", imageManifest=_manifest(), imageTag="build-1")
    found = registry.digest(ecr, "1.example/dev/booking", "build-1")
    assert found == pushed["image"]["imageId"]["imageDigest"]
    assert registry.digest(ecr, "1.example/dev/booking", "build-2") is None


def test_the_image_of_a_release_gets_a_tag_that_never_expires_and_once_only(ecr: Any) -> None:
    digest = ecr.put_image(repositoryName="dev/booking", imageManifest=_manifest(), imageTag="build-1")["image"][
        "imageId"
    ]["imageDigest"]
    for _ in range(2):
        registry.keep(ecr, "1.example/dev/booking", digest)
    [image] = ecr.describe_images(repositoryName="dev/booking")["imageDetails"]
    assert sorted(image["imageTags"]) == ["build-1", f"{RELEASE_PREFIX}{digest[7:19]}"]


def test_docker_signs_in_with_a_password_that_no_list_of_processes_shows(programs: Programs, ecr: Any) -> None:
    calls = programs("docker")
    registry.sign_in(ecr)
    first, password = calls.read_text().split("\n", 1)
    assert first.startswith("docker login --username AWS --password-stdin https://")
    assert password
    assert password not in first


def test_a_copy_keeps_digests_and_takes_the_signatures_along(programs: Programs) -> None:
    calls = programs("cosign")
    copied = registry.copy({"booking": f"1.example/dev/booking@{DIGEST}"}, {"booking": "2.example/prod/booking"}, "t")
    assert copied == {"booking": DIGEST}
    assert calls.read_text() == f"cosign copy 1.example/dev/booking@{DIGEST} 2.example/prod/booking:t\n"


def test_an_image_that_nobody_signed_is_refused(programs: Programs) -> None:
    programs("cosign", code=1)
    with pytest.raises(CannotBuild, match="cosign verify"):
        registry.verify(f"1.example/dev/booking@{DIGEST}", "example/event-platform")


class Scanned:
    """ECR's client, as far as findings go: those of one image, on two pages."""

    class exceptions:  # noqa: N801 - boto3's name
        class ScanNotFoundException(Exception):
            pass

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self._pages = pages

    def get_paginator(self, _: str) -> Scanned:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        if not self._pages:
            raise self.exceptions.ScanNotFoundException
        for page in self._pages:
            yield {"imageScanFindings": {"findings": page}}


def test_grave_flaws_are_listed_the_worst_first_and_an_image_that_was_not_scanned_is_no_good_news() -> None:
    named = [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0.1"}]
    scanned = Scanned(
        [{"name": "CVE-3", "severity": "HIGH"}, {"name": "CVE-2", "severity": "LOW"}],
        [{"name": "CVE-1", "severity": "CRITICAL", "attributes": named}],
    )
    found = registry.flaws(scanned, "dev", "booking", DIGEST)
    assert [(each.name, each.package) for each in found] == [("CVE-1", "openssl 3.0.1"), ("CVE-3", "?")]
    with pytest.raises(CannotBuild, match="was not scanned"):
        registry.flaws(Scanned(), "dev", "booking", DIGEST)


@pytest.mark.parametrize("text", ["{", "[]", '{"somebody": "x@sha256:1"}'])
def test_a_file_that_is_no_list_of_images_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "images.json"
    file.write_text(text)
    done = RUN.invoke(app, ["image", "verify", str(file), "--repository", "example/event-platform"])
    assert done.exit_code == 2


def test_a_service_that_is_not_is_refused() -> None:
    done = RUN.invoke(app, ["image", "build", "catering"])
    assert done.exit_code == 2


def test_images_hold_what_the_services_need_in_the_versions_that_are_tested() -> None:
    everything, services = (_versions(path) for path in (lock.EVERYTHING, lock.SERVICES))
    assert services.items() <= everything.items()
    named = {re.split(r"[\[<>=]", need)[0] for need in lock.needs_of_services()}
    assert named <= set(services)
    assert not {"pulumi", "moto", "pytest"} & set(services)


def _versions(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))


def _manifest() -> str:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 1},
            "layers": [],
        }
    )
