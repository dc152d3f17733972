"""What the page and /api/v1/ tell: the history's questions, and the moment as it is streamed."""
