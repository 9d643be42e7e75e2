"""Chaos runs: a crawl of a planned site while something is being broken, judged by oracles that know only the plan.

``make chaos`` runs every fault of ``recipes.py`` and prints a table. Read ``plan.py`` (the truth), ``world.py`` (what
runs), ``run.py`` (one row, and how a fault is added), ``verdict.py`` (the oracles).
"""
