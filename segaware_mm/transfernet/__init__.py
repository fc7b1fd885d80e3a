"""TransferNet: masks of some classes and image labels of others train one decoder."""
