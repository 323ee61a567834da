"""Time series of all tenants in two shared tables, walled by row-level security. Agents write through the link, usage reads."""
