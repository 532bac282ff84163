"""What the command line needs besides what it shows."""
