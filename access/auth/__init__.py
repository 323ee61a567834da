"""Ways to show who you are: password and session for people, signed access tokens for programs."""
