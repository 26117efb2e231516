"""Tests of runbooks/: the kit's guarantees, and each runbook on the real servers."""
