"""The registry of this machine: its rows, its files, and how both are recorded."""
