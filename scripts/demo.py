"""Run by scripts/demo in an Odoo shell (`env` is there): loads the data set named by DEMO_DATA and prints the recap."""
