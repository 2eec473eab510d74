# Generated from src/poweremail/sandbox/_client/_async/__init__.py; do not edit.
"""The transport into a sandbox of this process; the tree beside this one is its twin."""
