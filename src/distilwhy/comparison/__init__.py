"""Differences across runs: the paper's analysis, a robust one, and what they allow to be said."""
