"""The HTTP service: thin over the actions, so that it holds no rule, no SQL and no format of its own."""
