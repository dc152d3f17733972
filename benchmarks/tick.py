"""What one tick of the writer costs, by its parts, on the real modules and a week of history on disk."""
