"""What is known of models: which are needed, which are here, and getting them from the hub and from Ollama."""
