"""Tests of the local fake of Microsoft's servers."""
