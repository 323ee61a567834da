"""Who are you, may you do this here, and the memory that you did. All tables in the tenant's schema."""
