"""What helps: cleaning before distilling, held against an oracle and a sham, and what it does to clean data."""
