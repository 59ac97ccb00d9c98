"""Prefect tasks: what is retried, cached and shown, one file per stage."""
