"""What there is in a registry, for people and for other programs."""
