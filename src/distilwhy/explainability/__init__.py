"""How good and how faithful explanations are; each file of a measure holds that measure."""

# Each registers its measure.
from distilwhy.explainability import surface as surface
