"""Programs that bring other people's software to what a document says: each is run by a job, and safe to repeat."""
