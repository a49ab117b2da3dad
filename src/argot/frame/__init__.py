"""Tables whose columns lie with different parties."""
