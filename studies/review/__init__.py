"""The review and what answers it: every item that was asked, and the claims of studies that decide it."""
