"""Builds the message: checked letters in, wire-ready messages out."""
