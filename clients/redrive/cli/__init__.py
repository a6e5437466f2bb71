"""The command line `redrive`: one file for each noun, and what they have in common."""
