"""The study of a distilled set from a file: its flags, its trials, its answer."""
