"""Generated protobuf code; `make protos` writes it."""
