"""What a report says, worked out from sums of the history."""
