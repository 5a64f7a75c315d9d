"""Baselines: the plan that runs every method under one recipe, and the answer that compares them."""
