"""What `eventctl policy` says of the packs: what they cover, and how they judge a recorded state."""
