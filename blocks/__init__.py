"""Prefect blocks: places and credentials that become domain objects."""
