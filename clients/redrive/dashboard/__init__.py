"""The dashboard: a web application in its own process, which uses only the public API (extra `redrive[dashboard]`)."""
