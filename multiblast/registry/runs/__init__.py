"""Runs of scripts and searches, and the code runs recorded of them."""
