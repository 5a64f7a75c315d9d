"""The command line of the library: it imports `mim4dd` and `perturbations`, which never import it."""
