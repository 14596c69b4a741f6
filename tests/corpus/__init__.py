"""Frames that earlier versions wrote, and the conversations that they are from."""
