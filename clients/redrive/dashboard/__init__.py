"""The web application: a process of its own, which speaks only the public contract (extra `redrive[dashboard]`)."""
