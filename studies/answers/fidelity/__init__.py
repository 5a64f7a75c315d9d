"""Fidelity: the plan that runs published recipes, and the answer that compares our accuracies with published ones."""
