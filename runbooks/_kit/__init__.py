"""What every runbook shares: its author says what to look at and what to do; everything that keeps it safe is here."""

from runbooks._kit.command import command
from runbooks._kit.model import Action, Check, Refused, Runbook, Stop, Table
from runbooks._kit.target import Target

__all__ = ["Action", "Check", "Refused", "Runbook", "Stop", "Table", "Target", "command"]
