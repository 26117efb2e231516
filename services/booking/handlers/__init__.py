"""The use cases of booking, each within one transaction that the caller opens and commits.

All fail closed: without the database nothing is sold. Nothing waits for a network while it holds a lock.
"""
