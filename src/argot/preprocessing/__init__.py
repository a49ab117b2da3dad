"""Preparing columns at their owners."""
