"""Host power: which meters there are, and what was measured with them."""
