"""Methods beside each other: what a comparison runs, and what its rows say of each method."""
