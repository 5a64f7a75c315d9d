"""The command line of the library: it stands above `mim4dd` and `perturbations`, which know nothing of it."""
