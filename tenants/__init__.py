"""Opens and closes customers. The only room whose tables are all in the public schema and whose rows are customers."""
