"""Ablation: a factorial over the term and its components, placebos of the term, and every critic, head and layers."""
