"""The repository as a whole: its top level, what is never committed, and documents that tell the truth."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from scripts.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"stacks", "components", "policies", "services", "runbooks", "scripts", "tests", "docs", ".ci", ".github"}
FILES = {"Makefile", "LICENSE", "README.md", "pyproject.toml", "requirements.lock", ".gitignore", "Pulumi.yaml"}
# Put together here, so that this file does not hold what it looks for.
REGISTRIES = ("pypi" + ".org", "pythonhosted" + ".org", "proxy.golang" + ".org", "npmjs" + ".org", "maven" + ".org")
MACHINE = re.compile(r"(?<![\w.{}$-])/(?:root|work|home/[a-z]\w*|Users/\w+|tmp/\w+)/[\w.-]")
SECRET = re.compile(r"AKIA[0-9A-Z]{16}|sk_live_\w{10}|-----BEGIN (?:\w+ )?PRIVATE KEY-----\n\w")


def committed() -> list[Path]:
    """Every file that git tracks, and that is still there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


COMMITTED = committed()
DOCUMENTS = [path for path in COMMITTED if path.suffix == ".md"]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    top = {path.relative_to(ROOT).parts for path in COMMITTED}
    stacks = {f"Pulumi.{path.name.split('.')[1]}.yaml" for path in ROOT.glob("Pulumi.*.yaml")}
    assert {parts[0] for parts in top if len(parts) > 1} <= FOLDERS
    assert {parts[0] for parts in top if len(parts) == 1} <= FILES | stacks


@pytest.mark.parametrize("what", ["a registry's address", "a path of somebody's machine", "a secret"])
def test_no_committed_file_holds(what: str) -> None:
    pattern = {
        "a registry's address": re.compile("|".join(map(re.escape, REGISTRIES))),
        "a path of somebody's machine": MACHINE,
        "a secret": SECRET,
    }[what]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in COMMITTED
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ('open("/root' + '/.cache/x")', True),
        ("see /home" + "/alice/notes", True),
        ("POST http://127.0.0.1/work" + "flows/x", False),
        ("writes to .local/work" + "/x", False),
        ("/usr/lib/postgresql", False),
    ],
)
def test_a_path_of_a_machine_is_recognised(line: str, is_one: bool) -> None:
    assert bool(MACHINE.search(line)) is is_one


@each_document
def test_every_relative_link_of_a_document_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (document.parent / name).resolve() if name else document
        assert place.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(place), f"{place.name} has no heading for #{anchor}"


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@each_document
def test_every_make_target_that_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", document.read_text(), flags=re.MULTILINE))
    assert named <= targets


@each_document
def test_every_eventctl_command_that_a_document_names_exists(document: Path) -> None:
    for line in re.findall(r"(?:`|^ *)eventctl((?: [^`\s#]+)+)", document.read_text(), flags=re.MULTILINE):
        check_command(line.split())


def check_command(words: list[str]) -> None:
    """Fail unless ``eventctl words…`` names a command and options that it has."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while isinstance(command, typer.core.TyperGroup):
        group: Any = command
        known = {name: group.get_command(None, name) for name in group.list_commands(None)}
        if not rest or rest[0].startswith("-"):
            break
        # `status|logs` names both.
        for alternative in rest[0].split("|"):
            assert alternative in known, f"eventctl {' '.join(words)}: commands are {', '.join(known)}"
        command = known[rest.pop(0).split("|")[0]]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for option in (word for word in rest if word.startswith("-")):
        assert option in options | {"--help"}, f"eventctl {' '.join(words)}: options are {', '.join(sorted(options))}"


def test_a_command_or_an_option_that_does_not_exist_is_noticed() -> None:
    check_command(["local", "logs", "booking-api", "--follow"])
    check_command(["local", "status|logs"])
    check_command(["runbook", "run", "dead_letter_redrive", "--queue", "booking", "--local"])
    mistakes = (["lokal", "up"], ["local", "restart"], ["demo", "--jason"], ["runbook", "run", "nothing"],
                ["runbook", "run", "dead_letter_redrive", "--que"])  # fmt: skip
    for words in mistakes:
        with pytest.raises(AssertionError):
            check_command(words)


def test_every_file_with_tests_is_collected() -> None:
    for path in COMMITTED:
        if path.suffix == ".py" and re.search(r"^(?:async )?def test_", path.read_text(), flags=re.MULTILINE):
            assert path.is_relative_to(ROOT / "tests"), f"{path} is not under tests/"
            assert path.name.startswith("test_"), f"{path} is never collected: its name must begin with test_"


def test_every_folder_of_tests_is_a_package_so_that_two_files_may_have_one_name() -> None:
    for path in COMMITTED:
        if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} has no __init__.py"


def test_no_test_is_skipped() -> None:
    pattern = re.compile(r"pytest\.(?:mark\.)?(?:skip|xfail|importorskip)" + r"\b")
    for path in COMMITTED:
        if path.is_relative_to(ROOT / "tests") and path.suffix == ".py" and path != Path(__file__):
            assert not pattern.search(path.read_text()), f"{path.relative_to(ROOT)} skips"
