"""What is said on a pull request, and what is understood there. GitHub is stood in for by a server of this process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.cli import app
from scripts.cost.estimate import Estimate, estimate
from scripts.deployment import Step
from scripts.github.commands import Command, understood
from scripts.github.pull_requests import NoAnswer, PullRequests
from scripts.github.report import Report

RUN = CliRunner()
TOKEN = "t0ken"


class GitHub(ThreadingHTTPServer):
    """Issue comments of one repository, as GitHub's REST API has them; three to a page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:
        page = int(self.path.partition("&page=")[2] or 1)
        more = len(self.server.comments) > page * 3
        following = f'<{self.server.url}{self.path.partition("&page=")[0]}&page={page + 1}>; rel="next"'
        self._answer(200, self.server.comments[(page - 1) * 3 : page * 3], {"Link": following} if more else {})

    def do_POST(self) -> None:
        said = {"id": len(self.server.comments) + 1, "html_url": f"{self.server.url}/{len(self.server.comments) + 1}"}
        self.server.comments.append({**said, **self._body()})
        self._answer(201, self.server.comments[-1])

    def do_PATCH(self) -> None:
        there = next(each for each in self.server.comments if str(each["id"]) == self.path.rsplit("/", 1)[1])
        there |= self._body()
        self._answer(200, there)

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _answer(self, code: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            code, body = 401, {"message": "Bad credentials"}
        written = json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(written)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_subject_has_one_comment_which_is_brought_up_to_date(github: GitHub) -> None:
    requests = PullRequests("example/event-platform", TOKEN, api=github.url)
    github.comments += [{"id": n, "html_url": "", "body": f"from somebody {n}"} for n in range(100, 105)]
    first = requests.say(12, "plan-dev", "three to create")
    requests.say(12, "plan-prod", "nothing")
    assert requests.say(12, "plan-dev", "nothing any more") == first
    ours = [each["body"] for each in github.comments if each["body"].startswith("<!--")]
    assert ours == ["<!-- plan-dev -->\nnothing any more", "<!-- plan-prod -->\nnothing"]


def test_what_is_too_long_for_a_comment_is_cut_and_says_so(github: GitHub) -> None:
    PullRequests("example/event-platform", TOKEN, api=github.url).say(12, "plan-dev", "x" * 70_000)
    [comment] = github.comments
    assert len(comment["body"]) <= 65_536
    assert comment["body"].endswith("the run's log has all of it.")


def test_what_github_refuses_is_told_with_its_answer_and_without_the_token(github: GitHub) -> None:
    with pytest.raises(NoAnswer, match=r"401.*Bad credentials") as refused:
        PullRequests("example/event-platform", "wr0ng", api=github.url).say(12, "plan-dev", "x")
    assert "wr0ng" not in str(refused.value)


def test_without_the_variables_of_a_workflow_the_command_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    file = tmp_path / "said.md"
    file.write_text("x")
    done = RUN.invoke(app, ["pull-request", "comment", "12", "plan-dev", str(file)])
    assert done.exit_code == 1
    assert "GITHUB_REPOSITORY is not set" in done.output


@pytest.mark.parametrize(
    ("comment", "command"),
    [
        ("/preview", Command.PREVIEW_UP),
        ("/preview   down \nthank you", Command.PREVIEW_DOWN),
        ("/canary status", Command.CANARY_STATUS),
        ("/preview up; rm -rf /", None),
        ("please /preview", None),
        ("", None),
    ],
)
def test_only_what_is_a_command_as_a_whole_is_one(comment: str, command: Command | None) -> None:
    assert understood(comment) == command


def test_the_command_prints_the_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMENT", "/preview down")
    assert RUN.invoke(app, ["pull-request", "command"]).stdout == "preview-down\n"
    monkeypatch.setenv("COMMENT", "$(touch /)")
    assert RUN.invoke(app, ["pull-request", "command"]).stdout == ""


def costs(instance: str) -> Estimate:
    urn = "urn:pulumi:dev::event-platform::platform:database:Database$aws:rds/instance:Instance::booking"
    inputs = {"instanceClass": instance, "allocatedStorage": 20, "multiAz": False}
    provider = {"urn": "urn:a::b::c::p", "type": "pulumi:providers:aws", "inputs": {"region": "us-east-1"}}
    return estimate({"resources": [provider, {"urn": urn, "type": "aws:rds/instance:Instance", "inputs": inputs}]})


def test_a_report_has_what_is_lost_first_what_it_costs_and_what_policies_advise() -> None:
    def step(operation: str, name: str) -> Step:
        urn = f"urn:pulumi:dev::p::platform:database:Database$aws:rds/instance:Instance::{name}"
        return Step(operation, urn, "aws:rds/instance:Instance", ("instanceClass",))

    text = Report(
        stack="dev",
        steps=[step("create", "new"), step("update", "other"), step("replace", "lost")],
        advice=["policy rds-multi-az: booking: no standby"],
        refused="",
        before=costs("db.t4g.micro"),
        after=costs("db.t4g.small"),
    ).markdown()
    assert text.startswith("### ✅ `dev`: 1 to create, 1 to update, 1 to replace")
    assert text.index("`lost`") < text.index("`other`") < text.index("`new`")
    assert "(+" in text.split("**Cost:**")[1].splitlines()[0]
    assert "rds-multi-az" in text


def test_a_report_of_what_is_refused_says_why_and_no_cost() -> None:
    refused = Report(stack="prod", steps=[], advice=[], refused="policy x: no", before=None, after=None).markdown()
    assert refused.startswith("### 🛑 `prod`")
    assert "policy x: no" in refused
    assert "Cost" not in refused
