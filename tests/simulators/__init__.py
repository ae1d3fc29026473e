"""Local servers that behave like messaging providers.

They share no code with the adapters they test: what both got wrong in the same way
would otherwise look right.
"""
