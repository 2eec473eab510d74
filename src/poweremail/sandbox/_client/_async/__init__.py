"""The transport into a sandbox of this process; ``_sync`` beside this folder is generated from it."""
