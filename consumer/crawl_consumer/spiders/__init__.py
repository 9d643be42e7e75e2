"""Spiders: what they are (base), what they yield (items), how one is run and how it is found (running, loading)."""
