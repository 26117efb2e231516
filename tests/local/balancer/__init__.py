"""The local load balancer."""
