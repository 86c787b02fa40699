"""Plays agents that use sat-mcp on written tasks, records what passes, and scores it. See README.md."""
