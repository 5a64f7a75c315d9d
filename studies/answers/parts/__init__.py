"""Pieces of answers that know no study: each reads the ledger and gives sentences, tables and figures."""
