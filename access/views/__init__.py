"""Console pages of the access room; one file a subject."""
