"""The post office's async SQL: short, schema-qualified transactions on a small pool. Each function is one of them."""
