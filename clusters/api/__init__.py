"""REST of the clusters room, in the shapes of the public contract."""
