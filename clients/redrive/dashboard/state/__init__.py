"""State in memory: sessions, reads that tabs share, and the inputs and selections of users."""
