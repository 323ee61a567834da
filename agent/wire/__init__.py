"""The language both programs speak: frozen messages, standard library only, imports nothing.

The control plane and the agent both import it; a field therefore exists once.
"""
