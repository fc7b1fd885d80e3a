"""TransferNet (Hong, Oh, Lee, Han, CVPR 2016)."""
