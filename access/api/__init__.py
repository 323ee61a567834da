"""REST of the access room, and the base view that the rooms above build on."""
