"""`ue evaluate`: victims on the protected files, under countermeasures, beside their controls."""
