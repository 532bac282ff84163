"""Formats of files, and what is written into them."""
