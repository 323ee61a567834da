"""Console pages of the projects room."""
