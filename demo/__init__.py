"""Demo: send to 1,000 recipients, see 60 failures, replace the page's token and resend; run it with `make demo`."""
