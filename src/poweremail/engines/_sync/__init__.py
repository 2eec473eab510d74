# Generated from src/poweremail/engines/_async/__init__.py; do not edit.
"""What all engines have in common. ``_sync`` beside it is generated from it."""
