"""The real servers behind simulated resources: what a create makes there, and what a delete takes away."""
