"""Run by scripts/demo in an Odoo shell, which has `env`.

Loads the data set named by DEMO_DATA and prints the recap.
"""
