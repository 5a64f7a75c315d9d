"""Comparisons of methods: their flags, and their arms as complete configurations."""
