"""Scores of predictions: accuracy, paired tests, baselines, figures of explanations."""
