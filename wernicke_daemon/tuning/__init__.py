"""What the log tells of how fast and how well the daemon works, and which settings to change; for a file and a page."""
