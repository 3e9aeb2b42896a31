"""What is kept on disk: results, and received audio until it has some."""
