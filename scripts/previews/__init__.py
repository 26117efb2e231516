"""Previews: guests of a shared environment, one for each pull request that asks for it.

- `records`: what is known of each, in Parameter Store: who, until when, how it is.
- `home`: where they live: on AWS, or on the platform of this machine.
- `life`: up, extend, down.
- `reaper`: which are due, and which are left over.
- `smoke`: buys a ticket from one.
"""
