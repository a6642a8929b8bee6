"""MiniStack, an AWS emulator, run on loopback with the differences from AWS that matter patched."""
