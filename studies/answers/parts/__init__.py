"""Parts of answers that are not specific to one study: each makes sentences, tables and figures from the ledger."""
