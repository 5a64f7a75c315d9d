"""Every method under one recipe: what is run, and who beats whom."""
