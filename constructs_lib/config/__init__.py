"""The config: its fields, the checks across fields, and its file. Nothing here imports cdktf, so
reading a config stays fast."""
