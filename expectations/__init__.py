"""Gates: what must hold of a stage's output before it is published."""
