"""Platforms side by side: each has loopback addresses of its own, and one command at a time."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from scripts.local.platform.layout import Busy, Layout, Record
from scripts.toolchain import cache


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _claimed_by(owner: Path, block: str) -> None:
    owner.mkdir()
    (cache.root() / "blocks.json").write_text(json.dumps({block: str(owner)}))


def test_a_platform_keeps_its_block(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "clone")
    assert layout.claim_block() == layout.claim_block()


def test_two_clones_never_share_a_block(tmp_path: Path) -> None:
    mine = Layout(tmp_path / "mine").claim_block()
    shutil.rmtree(tmp_path / "mine")
    _claimed_by(tmp_path / "neighbour", mine)
    assert Layout(tmp_path / "mine").claim_block() != mine


def test_the_block_of_a_clone_that_is_gone_is_free_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "mine")
    block = layout.claim_block()
    shutil.rmtree(layout.folder)
    _claimed_by(tmp_path / "neighbour", block)
    shutil.rmtree(tmp_path / "neighbour")
    assert layout.claim_block() == block


def test_a_block_in_which_somebody_listens_is_passed_by(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "mine")
    block = layout.claim_block()
    with socket.create_server((f"{block}.0.10", 0)):
        assert layout.claim_block() != block


def test_a_second_command_on_a_platform_is_told_to_wait(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "mine")
    with layout.locked(), pytest.raises(Busy, match="another eventctl is changing the platform"), layout.locked():
        pass


def test_what_up_decided_is_read_back_and_kept_from_others(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.record() is None
    record = Record(code="0", kubeconfig="k", cloud="c", webhook_secret="w", urls={"redis": "r"}, kinds={})
    layout.write(record)
    assert layout.record() == record
    assert (tmp_path / "platform.json").stat().st_mode & 0o077 == 0
