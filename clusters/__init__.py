"""Supply: which clusters a tenant has, how they are, and the nodes and node pools in them."""
