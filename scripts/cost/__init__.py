"""What an environment costs a month, before a bill says so."""
