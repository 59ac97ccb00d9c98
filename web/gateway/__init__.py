"""The gateway over HTTP: objects, uploads, grants."""
