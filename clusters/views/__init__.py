"""Console pages of the clusters room."""
