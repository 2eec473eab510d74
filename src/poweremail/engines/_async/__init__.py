"""What all engines have in common. ``_sync`` beside it is generated from it."""
