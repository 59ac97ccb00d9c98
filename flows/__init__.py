"""Prefect flows: in which order things happen."""
