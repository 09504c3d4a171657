"""Victims and surrogates: small networks, batched augmentation, one supervised trainer."""
