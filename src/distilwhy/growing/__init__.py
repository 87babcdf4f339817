"""Tasks without data: a teacher writes new questions from a description and some examples."""
