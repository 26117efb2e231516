"""Notification: tells buyers what became of their orders, through Novu and in their feed."""
