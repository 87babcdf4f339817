"""Statistics on plain numbers: outliers, assumptions, effects, multiplicity, resampling."""
