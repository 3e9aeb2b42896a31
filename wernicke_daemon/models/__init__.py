"""Which models are needed, where they come from, and where they lie."""
