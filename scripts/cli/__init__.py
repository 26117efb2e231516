"""`eventctl`: the local platform, its tools and its demo from one command."""

from scripts.cli.app import app

__all__ = ["app"]
