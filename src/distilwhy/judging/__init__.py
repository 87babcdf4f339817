"""A language model as the judge of explanations: ratings, preferences, agreement with people."""
