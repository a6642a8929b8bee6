"""The CDKTF constructs. Only this package and main.py import cdktf."""
