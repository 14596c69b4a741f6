"""The only privileged process: starts, inspects and stops programs as an account. Standard library only.

Read in this order: config, messages, identity, program, keeper, server.
"""
