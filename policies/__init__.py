"""Policy packs: an independent judge of what every stack declares. It imports nothing of this repository's own."""
