"""Texts for people that the command line and the dashboard share."""
