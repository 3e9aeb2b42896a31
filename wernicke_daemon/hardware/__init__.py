"""What the machine has, what that is enough for, and how it is while the daemon runs."""
