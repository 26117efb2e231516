"""The driver of canaries, apart from any traffic."""
