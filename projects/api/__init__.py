"""REST of the projects room, in the shapes of the public contract."""
