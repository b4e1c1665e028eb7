"""A Home Assistant that sends for many minutes, while everything goes wrong with the server."""
