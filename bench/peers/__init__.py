"""The peers as their users write them. What stands here runs in .venv-bench, and imports nothing of Redrive."""
