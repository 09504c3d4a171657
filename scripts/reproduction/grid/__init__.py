"""Methods against countermeasures, as files on disk: the grid of `ue evaluate`'s measurements."""
