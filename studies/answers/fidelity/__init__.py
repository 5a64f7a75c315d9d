"""Ours beside the published number: what is run for a cell of the table, and what came out."""
