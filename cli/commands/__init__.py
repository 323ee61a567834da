"""One file a group of commands: parse the flags, one or two calls of the client, print."""
