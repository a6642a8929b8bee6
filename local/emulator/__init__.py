"""MiniStack, an AWS emulator, on loopback. Patches remove differences from AWS that matter here."""
