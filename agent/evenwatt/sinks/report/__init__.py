"""A report as a person reads it: in a terminal, as Markdown, as one HTML file; and as JSON."""
