"""What the person on call sees and tries: the screen, and game days."""
