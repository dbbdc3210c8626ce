"""What a recipe would do, before it does it: other thresholds and shares, time and text."""
