"""Time series of all tenants in two tables behind row-level security; agents write by the link, usage reads."""
