"""What `wernicke` does besides serving."""
