"""A send to 1,000 people that goes partly wrong, and is put right; `make demo` runs it."""
