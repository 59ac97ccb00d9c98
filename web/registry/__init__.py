"""The local registry over HTTP, on loopback: the REST API that languages record runs through, and pages for people."""
