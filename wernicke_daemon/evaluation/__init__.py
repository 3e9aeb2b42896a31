"""How well what the daemon says agrees with what was said, and by whom."""
