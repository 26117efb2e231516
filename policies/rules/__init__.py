"""The rules, one file per concern; each file lists its own in RULES."""
