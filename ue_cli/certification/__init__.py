"""`ue certify`: from trained surrogates to a certificate of learnability, and its words."""
