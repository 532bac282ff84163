"""The tables and figures of Meyer et al., arXiv:2404.06314, measured anew: what ``qtm reproduce`` runs."""
