"""The commands of `wernicke`, one module each; `cli.py` puts them together."""
