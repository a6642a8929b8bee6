"""What a user may write: the fields of the config, the checks across them, and the file they come
in. Nothing here knows cdktf, so that reading a config stays quick."""
