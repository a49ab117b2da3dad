"""Statistics and metrics, computed where the values are."""
