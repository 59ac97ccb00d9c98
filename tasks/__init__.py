"""Prefect tasks: what is retried, cached and shown, one stage a file."""
