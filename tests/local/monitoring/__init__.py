"""How the local platform is watched."""
