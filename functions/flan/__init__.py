"""The integration for FLAN-T5 and other models that JumpStart calls text2text."""
