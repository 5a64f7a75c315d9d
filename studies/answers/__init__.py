"""How each study's rows become its answer."""
