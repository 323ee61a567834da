"""Demand: a person's request becomes a compiled spec, travels as a document, and is followed to its end."""
