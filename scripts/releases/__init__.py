"""Releases: the images and the saga's version that belong together; what ran when, what runs where, and going back."""
