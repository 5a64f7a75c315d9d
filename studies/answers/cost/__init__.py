"""The study of cost: its flags, its trials, its answer."""
