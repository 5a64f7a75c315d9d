"""The study of networks: sets distilled on one, evaluated on many."""
