"""The FAIR registry: what data there is, where it came from, and its exchange with other registries."""
