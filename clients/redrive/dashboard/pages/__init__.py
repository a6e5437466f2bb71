"""The pages of the dashboard, the frame around them, and their registration."""
