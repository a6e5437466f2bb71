"""The command line `redrive`: the commands by noun, and what they share."""
