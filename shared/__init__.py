"""What the centre and the facility mean by the same word. Standard library only, except `shared.wire`."""
