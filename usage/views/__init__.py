"""Console pages of the usage room: the Overview, metrics of a workload, and the palette, which sees every room."""
