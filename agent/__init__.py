"""The program that runs in a customer's cluster. It imports no Django and nothing of the control plane."""
