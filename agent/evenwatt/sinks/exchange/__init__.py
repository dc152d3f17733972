"""What leaves the history for other programs: sheets, lines, time series, bills and price files."""
