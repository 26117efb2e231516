"""The rules, one file for each concern; each file lists its own in RULES."""
