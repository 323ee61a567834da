"""REST of the workloads room, in the shapes of the public contract. Views parse, call one service, answer."""
