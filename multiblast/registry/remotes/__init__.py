"""Other registries: how they are reached, and what of the local one they may see."""
