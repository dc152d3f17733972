"""`evenwatt calibrate`: a load run against an engine of one's own."""
