"""The CDKTF constructs; cdktf is imported here and in main.py only."""
