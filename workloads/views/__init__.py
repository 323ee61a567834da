"""Console pages of the workloads room; one file a subject."""
