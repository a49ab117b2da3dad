"""Argot."""
