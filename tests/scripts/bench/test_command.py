"""The command line of `make bench`."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from scripts.bench.__main__ import bench

APP = typer.Typer()
APP.command()(bench)


def test_a_benchmark_that_does_not_exist_is_refused_before_anything_is_measured() -> None:
    assert CliRunner().invoke(APP, ["--only", "hodls"]).exit_code == 2


def test_help_names_the_benchmarks() -> None:
    shown = CliRunner().invoke(APP, ["--help"], env={"COLUMNS": "200"}).stdout
    assert "holds, onsale, orders, preview" in shown
