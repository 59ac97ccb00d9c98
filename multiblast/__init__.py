"""Search sequences with BLAST+, each one once, and keep what was found."""
