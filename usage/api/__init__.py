"""REST of the usage room, in the shapes of the public contract. Views parse, call one service, answer."""
