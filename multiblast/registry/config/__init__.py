"""Configurations: what a file says, and what it means in the present state of the registry."""
