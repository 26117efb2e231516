"""Canaries on live traffic: visitors come through the balancer all the time, and meet what the weights say."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.deployment import ROOT
from scripts.local.kubernetes import images
from scripts.local.platform import lifecycle
from scripts.local.processes import eventually
from scripts.toolchain import pulumi
from tests.local.platform.support import PATIENCE, Platform

pytestmark = pytest.mark.timeout(PATIENCE * 4)

_SHARED = ("services/__init__.py", "services/contracts.py", "services/common", "services/setup")
_SAID = "X-Version"
_METRICS, _SALES = "services/common/metrics.py", "services/booking/entrypoints/routes/sales.py"
_BEGINS, _SENDS = "        status, began = 500, time.perf_counter()\n", "            await send(message)\n"
_ANSWERS = "            if message['type'] == 'http.response.start':\n                "
_HELD = "    hold_id = holds.hold_id(caller.id, idempotency_key)\n"
# What each version does otherwise: a file, a line of it, and what follows or goes before that line.
_BAD: dict[str, tuple[tuple[str, str, str], ...]] = {
    "good": (),
    "errors": (
        (_METRICS, _BEGINS, f"{_BEGINS}        if time.time_ns() // 1000 % 20 == 0:\n            raise RuntimeError\n"),
    ),
    "slow": (
        (
            _METRICS,
            _SENDS,
            _ANSWERS + "import asyncio; await asyncio.sleep(2 * (time.perf_counter() - began))\n" + _SENDS,
        ),
    ),
    # Every hold is refused as if all were sold: no error, and no booking.
    "refuses": ((_SALES, _HELD, f"{_HELD}    raise Problem(409, 'sold-out', 'Nothing is left.')\n"),),
}


@dataclass
class Met:
    """What visitors met: the version that answered and the status, of each request; and those that nobody answered."""

    answers: list[tuple[str, int]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def share(self, version: str) -> float:
        return sum(name == version for name, _ in self.answers) / max(1, len(self.answers))


class Sale:
    """A sale on a platform, and images of versions of booking."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.layout, self.record, self.client = platform.layout, platform.record, platform.aws
        self._trust = ssl.create_default_context(cafile=self.layout.authority.bundle)
        with self.visitor("organiser") as organiser:
            starts = (datetime.now(UTC) + timedelta(days=30)).isoformat()
            event = self._posted(organiser, "/events", {"name": "A sale", "startsAt": starts})
            kind = {"name": "Stalls", "price": 100, "currency": "eur", "capacity": 1_000_000}
            self.tickets = self._posted(organiser, f"/events/{event['id']}/ticket-types", kind)["id"]

    def signed_in(self, role: str) -> dict[str, str]:
        """Headers of somebody new."""
        subject = {"sub": uuid.uuid4().hex, "roles": [role]}
        token = httpx.post(f"{self.record.urls['issuer']}/token", json=subject).json()["access_token"]
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex}

    def visitor(self, role: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.record.urls['balancer']}/api/booking",
            verify=self._trust,
            headers=self.signed_in(role),
            timeout=30,
        )

    def _posted(self, who: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = (
            who.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}).raise_for_status().json()
        )
        return answer

    def image(self, version: str, folder: Path) -> str:
        """The digest of booking as it is, but for what ``version`` does, and for saying its name."""
        paths = [*_SHARED, "services/booking"]
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
            copy(ROOT / path, folder / path)
        named = f"{_ANSWERS}message['headers'] = [*message['headers'], (b'x-version', b'{version}')]\n{_SENDS}"
        for name, line, instead in (*_BAD[version], (_METRICS, _SENDS, named)):
            file = folder / name
            assert file.read_text().count(line) == 1
            file.write_text(file.read_text().replace(line, instead))
        digest = images.build(folder, self.layout.images, Path(sys.executable), paths=paths)
        lifecycle.push_image(self.layout, self.client("ecr"), "booking", digest)
        return digest

    @contextmanager
    def visited(self, visitors: int = 6, pause: float = 0.15) -> Iterator[Met]:
        """People come and book, for the length of a block; each request is that of somebody new."""
        met, over = Met(), threading.Event()

        def visit() -> None:
            with self.visitor("attendee") as who:
                while not over.wait(pause):
                    who.cookies.clear()
                    hold = {"ticketTypeId": self.tickets, "quantity": 1}
                    # A buyer may hold a few places, and no more: each of these is another.
                    headers = self.signed_in("attendee")
                    try:
                        answer = who.post("/holds", json=hold, headers=headers)
                    except httpx.HTTPError as error:
                        met.lost.append(repr(error))
                    else:
                        met.answers.append((answer.headers.get(_SAID, "first"), answer.status_code))

        with ThreadPoolExecutor(visitors) as pool:
            visits = [pool.submit(visit) for _ in range(visitors)]
            try:
                yield met
            finally:
                over.set()
                for each in visits:
                    each.result()

    def canary(self, does: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._platform.eventctl(*_canary(does, *arguments))

    def begun(self, *arguments: str) -> subprocess.Popen[str]:
        """A canary that runs beside the test."""
        return self._platform.begun(*_canary("start", *arguments))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self._platform.answer(*_canary("status"))
        return found

    def reaches(self, weight: int, ended: Callable[[], int | None]) -> bool:
        """Whether a release has that weight, or whoever would give it has ended."""
        return weight in self.weights().values() or ended() is not None

    def weights(self) -> dict[str, int]:
        known = self.known
        [rule] = self.client("elbv2").describe_rules(RuleArns=[known["rule"]])["Rules"]
        [action] = rule["Actions"]
        groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
        return {each["TargetGroupArn"]: each.get("Weight", 1) for each in groups}

    @property
    def known(self) -> dict[str, str]:
        text = self.client("ssm").get_parameter(Name="/local/operations")["Parameter"]["Value"]
        found: dict[str, str] = json.loads(text)["canaries"]["booking"]
        return found

    def stable_alone(self) -> bool:
        return set(self.weights()) == {self.known["stable"]}


def _canary(does: str, *arguments: str) -> tuple[str, ...]:
    return "canary", does, "booking", "--local", *arguments


@pytest.fixture(scope="module")
def sale(platform: Platform) -> Sale:
    # The balancer has to find the pods first.
    trust = ssl.create_default_context(cafile=platform.layout.authority.bundle)
    url = f"{platform.record.urls['balancer']}/api/booking/tickets/public-key"
    assert eventually(lambda: httpx.get(url, verify=trust).status_code == 200, timeout=60, every=1)
    return Sale(platform)


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("errors", "answers are errors"),
        ("slow", "one in ten answers takes"),
        ("refuses", "bookings that are refused"),
    ],
)
def test_a_bad_version_is_taken_back_by_itself_and_few_met_it(
    sale: Sale, tmp_path: Path, version: str, says: str
) -> None:
    digest = sale.image(version, tmp_path)
    with sale.visited() as met:
        done = sale.canary("start", "--image", digest, "--step", "300:1200", "--json")
        assert eventually(lambda: met.answers[-20:].count((version, 201)) == 0, timeout=30)
    assert done.returncode == 3, done.stdout + done.stderr
    assert says in json.loads(done.stdout)["why"]
    assert sale.stable_alone()
    # Three in ten may; a thousand requests would be as far off as this once in ten thousand runs.
    assert 0 < met.share(version) < 0.36
    assert met.lost == []
    # An answer that the bad release did not come to has no name; those of the other all had what they came for.
    assert {status for name, status in met.answers if name != version} <= {201, 500 if version == "errors" else 201}


def test_a_version_that_nobody_meets_is_taken_back_at_the_deadline(sale: Sale, tmp_path: Path) -> None:
    digest = sale.image("good", tmp_path)
    done = sale.canary("start", "--image", digest, "--step", "100:60", "--deadline", "240", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "0 of 50 requests to judge by" in json.loads(done.stdout)["why"]
    assert sale.stable_alone()


def test_when_eventctl_is_killed_the_stack_takes_the_canary_back_and_a_preview_meanwhile_shows_no_change(
    sale: Sale, tmp_path: Path
) -> None:
    digest = sale.image("errors", tmp_path)
    process = sale.begun("--image", digest, "--step", "1:6000")
    try:
        # Nobody comes meanwhile, so that it goes on until it is killed.
        assert eventually(lambda: sorted(sale.weights().values()) == [1, 999], timeout=240, every=1)
        engine = pulumi.find()
        assert engine is not None
        stack = lifecycle.running_stack(sale.layout, engine)
        assert set(stack.preview(lambda _: None)) == {"same"}
        assert sorted(sale.weights().values()) == [1, 999]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed = time.monotonic()
    assert eventually(sale.stable_alone, timeout=120, every=1)
    # The lease ends after twenty seconds, and the function looks once a minute, which is five seconds here.
    assert time.monotonic() - killed < 60
    last = json.loads(sale.client("ssm").get_parameter(Name=sale.known["lease"])["Parameter"]["Value"])
    assert last["why"] == "lease"
    # What is left of it goes with the next word of a person.
    assert sale.canary("abort").returncode == 0


def test_a_good_version_is_promoted_while_people_book_and_no_request_is_lost(sale: Sale, tmp_path: Path) -> None:
    """Its first step is passed by what it does; in the second it is told to wait, to go on, and to be everybody's."""
    digest = sale.image("good", tmp_path)
    with sale.visited() as met:
        # On a machine that does much else a new release may be slow at first, and is taken back, as it should; then it
        # is tried again, as people would.
        for _ in range(3):
            process = sale.begun("--image", digest, "--step", "100:60", "--step", "500:6000", "--json")
            assert eventually(partial(sale.reaches, 500, process.poll), timeout=120)
            if process.poll() is None:
                break
        assert sale.canary("pause").returncode == 0
        assert eventually(lambda: sale.status()["paused"], timeout=20)
        assert sale.canary("resume").returncode == 0
        assert eventually(lambda: not sale.status()["paused"], timeout=20)
        assert sale.canary("promote").returncode == 0
        said, _ = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, said
        assert eventually(lambda: {name for name, _ in met.answers[-30:]} == {"good"}, timeout=60)
    assert json.loads(said)["outcome"] == "promoted"
    assert met.lost == []
    assert {status for _, status in met.answers} == {201}
    assert lifecycle.running_images(sale.layout)["booking"] == digest
    found = sale.status()
    assert not found["under_way"]
    assert found["weights"] == {"stable": 1}
    again = sale.canary("start", "--image", digest)
    assert again.returncode == 2
    assert "already" in again.stderr
