"""RANet (Shen et al., NeurIPS 2020): region construction, interaction, head."""
