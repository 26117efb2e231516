"""Alembic's entry point for notification."""

from services.common.migrations import environment

environment()
