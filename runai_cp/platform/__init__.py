"""The life of a tenant across rooms: create, and later suspend, export, delete. The only behaviour in ``runai_cp``."""
