"""People rate explanations: reading their ratings, and what the ratings say. Never needs torch."""
