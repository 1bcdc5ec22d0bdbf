"""Captions of everyday sounds in any number, by a grammar: what training without captions retrieves from."""
