"""The tables and figures of Meyer et al., arXiv:2404.06314, measured again: what ``qtm reproduce`` runs."""
