"""The exchange of rows and files between two registries."""
