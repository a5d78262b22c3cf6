"""What the window draws."""
