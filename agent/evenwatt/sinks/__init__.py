"""Who wants to know: each module owns one way out."""
