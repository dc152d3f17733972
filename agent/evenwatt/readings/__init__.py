"""What the outside world says: each module owns one kind of source and turns its words into ours."""
