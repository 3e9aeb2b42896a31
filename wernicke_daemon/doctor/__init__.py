"""What must be right before the first run: facts, checks, the round through them."""
