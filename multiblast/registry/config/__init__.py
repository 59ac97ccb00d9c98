"""Configurations: what a file has, and what it means in the present state of the registry."""
