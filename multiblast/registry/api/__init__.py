"""The local registry as the data-registry's REST API shows it to the languages that record runs; no HTTP is in it."""
