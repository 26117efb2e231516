"""Reusable components: each takes the platform's decisions for one concern and refuses what is wrong for it."""
